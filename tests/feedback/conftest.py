"""Mails that were sent, and what providers then report of them: by the door of the running stack, or by the ledger."""

import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.ledger.table import Ledger
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.settings import Settings
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting
from tests.cloud import LEDGER
from tests.running import Answer, Running

KEY = "address key"
NOW = 1_800_000_000.0


def message(**changes: Any) -> Message:
    """Return a message that may have been sent."""
    fields = {"id": new_id(), "tenant": "default", "kind": "notification", "to": "reader@example.com", "data": {}}
    times = {"created_at": NOW, "expires_at": NOW + 600}
    return Message(**{**fields, **times, "source": "logto", **changes})


def sent(ledger: Ledger, said: Message, provider: str = "resend", provider_id: str = "", key: str = KEY) -> Message:
    """Write a message down as one that a provider took."""
    ledger.claim(Parcel.of(said), key, "token", said.created_at)
    tries = (Attempt(said.created_at, provider, "accepted"),)
    ledger.finish(said.id, "token", Outcome(Status.SENT, "", provider, provider_id, tries), said.created_at)
    return said


def row(aws: Aws, table: str, pk: str) -> dict[str, Any]:
    answer = aws.call("dynamodb", "GetItem", {"TableName": table, "Key": {"pk": {"S": pk}}, "ConsistentRead": True})
    return decode_item(answer.get("Item", {}))


@pytest.fixture
def aws(aws: Aws) -> Aws:
    """An AWS that has a ledger."""
    aws.call("dynamodb", "CreateTable", LEDGER)
    return aws


@pytest.fixture
def ledger(aws: Aws) -> Ledger:
    return Ledger(aws, "ledger", 16)


@dataclass(frozen=True, slots=True)
class Door:
    """The feedback door of the running stack, and the ledger behind it."""

    stack: Running
    aws: Aws
    ledger: Ledger
    table: str

    def mail(self, provider: str, to: str = "", **changes: Any) -> Captured:
        """Return a mail that a provider took: what its events will be about."""
        now = time.time()
        said = message(to=to or self.stack.address(), created_at=now, expires_at=now + 600, **changes)
        mail = Captured(said.id, said.to, "a@example.com", "", "Hello", "", "", {}, provider, said.tenant, said.kind)
        sent(self.ledger, said, provider, mail.id, self.key())
        return mail

    def key(self) -> str:
        """Return what this environment hashes addresses with."""
        return Settings(self.aws, "development").address_key()

    def post(self, posting: Posting, headers: Sequence[tuple[str, str]] | None = None, method: str = "POST") -> Answer:
        """Send a report; `headers` instead of its own, in this order, also twice the same."""
        connection = http.client.HTTPConnection(self.stack.url.removeprefix("http://"), timeout=30)
        try:
            connection.putrequest(method, posting.path, skip_accept_encoding=True)
            for name, value in posting.headers.items() if headers is None else headers:
                connection.putheader(name, value.encode("latin-1", "replace"))
            connection.putheader("content-length", str(len(posting.body)))
            connection.endheaders(posting.body)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def events(self, message_id: str) -> list[Mapping[str, Any]]:
        """Return what was reported of a message."""
        return [entry for entry in self.row(message_id)["timeline"] if "event" in entry]

    def row(self, message_id: str) -> dict[str, Any]:
        return row(self.aws, self.table, f"message#{message_id}")


@pytest.fixture
def door(stack: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    table = stack.stack.blueprint.table_name("LedgerTable")
    with closing(Aws("eu-west-1", stack.aws_endpoint)) as client:
        yield Door(stack, client, Ledger(client, table), table)
