"""Messages, and ledger rows of sent mails, for tests."""

import time
from dataclasses import replace
from typing import Any

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.ledger.table import Ledger
from mailroom.model.content import Content
from mailroom.model.event import Event, EventType
from mailroom.model.kinds import RENDERED
from mailroom.model.message import Message, Parcel, content_identity, new_id
from mailroom.model.outcome import Attempt, Outcome, Status

__all__ = ["KEY", "NOW", "Clock", "code", "event", "message", "rendered", "row", "sent"]

KEY = "address key"
NOW = 1_800_000_000.0


def message(**changes: Any) -> Message:
    """Return a notification; `changes` override its fields."""
    fields = {"id": new_id(), "tenant": "default", "kind": "notification", "to": "reader@example.com", "data": {}}
    times = {"created_at": NOW, "expires_at": NOW + 600}
    return Message(**{**fields, **times, "source": "logto", **changes})


def code(value: str = "424242", *, kind: str = "sign-in-code", age: float = 0, **changes: Any) -> Message:
    """Return a message with a code, made `age` seconds ago; `changes` override its fields."""
    data, at = {"code": value}, time.time() - age
    identity = content_identity("default", "reader@reader.example", kind, data)
    message = Message(new_id(), "default", kind, "reader@reader.example", data, at, at + 600, "logto", ("de",))
    return replace(message, **({"identity": identity} | changes))


def rendered(number: int = 0, **changes: Any) -> Message:
    """Return a rendered message, made now; `changes` override its fields."""
    content = Content(f"Code {number:06}", f"<p>Your code: <b>{number:06}</b> Grüße 🎉</p>\r\n", f"{number:06}\n")
    at, identity = time.time(), f"rendered {number}"
    fields = {"id": new_id(), "tenant": "default", "kind": RENDERED, "to": f"reader{number}@reader.example", "data": {}}
    times = {"created_at": at, "expires_at": at + 600}
    return Message(**{**fields, **times, "source": "rendered", "identity": identity, "content": content, **changes})


def sent(ledger: Ledger, mail: Message, provider: str = "resend", provider_id: str = "", key: str = KEY) -> Message:
    """Record a message as sent by a provider; return it."""
    ledger.claim(Parcel.of(mail), key, "token", mail.created_at)
    tries = (Attempt(mail.created_at, provider, "accepted"),)
    ledger.finish(mail.id, "token", Outcome(Status.SENT, "", provider, provider_id, tries), mail.created_at)
    return mail


def event(type_: EventType, message_id: str = "", number: int = 0, **fields: Any) -> Event:
    """Return the `number`-th event of a message, as Resend reports it; `fields` are its others."""
    return Event(type_, "resend", f"{type_} {message_id} {number}", NOW + number, message_id, **fields)


class Clock:
    """A clock that only a test moves, and a sleep that takes its time from it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def row(aws: Aws, table: str, pk: str) -> dict[str, Any]:
    answer = aws.call("dynamodb", "GetItem", {"TableName": table, "Key": {"pk": {"S": pk}}, "ConsistentRead": True})
    return decode_item(answer.get("Item", {}))
