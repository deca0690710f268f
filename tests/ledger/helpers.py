"""Messages of a given time, for tests of the ledger."""

from typing import Any

from mailroom.model.message import Message, new_id
from tests.factories import message

__all__ = ["message_at"]


def message_at(moment: float, **changes: Any) -> Message:
    """Return a message accepted at a moment, with which its id begins."""
    id_ = f"{int(moment * 1000):012x}{new_id()[12:]}"
    return message(id=id_, created_at=moment, expires_at=moment + 600, **changes)
