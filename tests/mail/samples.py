"""A sample mail of the preview."""

from typing import NamedTuple

from mailroom.model.email import Email

__all__ = ["Sample"]


class Sample(NamedTuple):
    """A mail, and a name for its kind, language, brand and form."""

    name: str
    email: Email
