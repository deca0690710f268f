"""Requests of mails to render."""

from typing import Any

from mailroom.model.message import Message
from tests.factories import NOW, message

__all__ = ["mail_request"]


def mail_request(
    kind: str = "sign-in-code", *locales: str, tenant: str = "default", minutes: int = 10, **data: Any
) -> Message:
    """Return a message with this data that is valid for some minutes."""
    fields = {"id": "018f3c5e7a1b00112233445566778899", "expires_at": NOW + 60 * minutes}
    return message(kind=kind, locales=locales, tenant=tenant, data=data, **fields)
