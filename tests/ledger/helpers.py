"""Messages, and a table of its own without indexes, for tests of the ledger."""

from typing import Any

from mailroom.model.message import Message, content_identity, new_id
from tests.factories import NOW, message

__all__ = ["ledger_code", "message_at"]


def message_at(moment: float, **changes: Any) -> Message:
    """Return a message accepted at a moment, with which its id begins."""
    id_ = f"{int(moment * 1000):012x}{new_id()[12:]}"
    return message(id=id_, created_at=moment, expires_at=moment + 600, **changes)


def ledger_code(value: str, *, at: float = NOW, kind: str = "sign-in-code", to: str = "ada@example.com") -> Message:
    """Return a message with a code for one recipient."""
    data = {"code": value}
    identity = content_identity("default", to, kind, data)
    return Message(new_id(), "default", kind, to, data, at, at + 600, "logto", identity=identity)
