"""The content of a rendered message: subject and bodies that the caller made, and that are sent as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.model.mailbox import Mailbox

__all__ = ["Content"]


@dataclass(frozen=True, slots=True)
class Content:
    """Subject, HTML and text of one mail, and where replies go; empty for the tenant's own."""

    subject: str
    html: str
    text: str
    reply_to: Mailbox | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Content":
        reply_to = values["reply_to"]
        return cls(**{**values, "reply_to": Mailbox(**reply_to) if reply_to else None})
