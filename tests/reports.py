"""Fixtures for delivery reports: a ledger in the empty cloud, and the feedback endpoint of a running stack."""

import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.settings import Settings
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting
from tests.cloud import LEDGER
from tests.factories import message, row, sent
from tests.running import Answer, Running

__all__ = ["FeedbackEndpoint", "endpoint", "ledger"]


@pytest.fixture
def ledger(aws: Aws) -> Ledger:
    """Return a ledger over a new, empty table."""
    aws.call("dynamodb", "CreateTable", LEDGER)
    return Ledger(aws, "ledger", 16)


@dataclass(frozen=True, slots=True)
class FeedbackEndpoint:
    """The feedback endpoint of the running stack, and the ledger behind it."""

    stack: Running
    aws: Aws
    ledger: Ledger
    table: str

    def mail(self, provider: str, to: str = "", **changes: Any) -> Captured:
        """Return a mail that a provider accepted, as the subject of events."""
        now = time.time()
        accepted = message(to=to or self.stack.address(), created_at=now, expires_at=now + 600, **changes)
        mail = Captured(
            accepted.id, accepted.to, "a@example.com", "", "Hello", "", "", {}, provider, accepted.tenant, accepted.kind
        )
        sent(self.ledger, accepted, provider, mail.id, self.key())
        return mail

    def key(self) -> str:
        """Return the key with which this environment hashes addresses."""
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
        """Return the events that are recorded for a message."""
        return [entry for entry in self.row(message_id)["timeline"] if "event" in entry]

    def row(self, message_id: str) -> dict[str, Any]:
        return row(self.aws, self.table, f"message#{message_id}")


@pytest.fixture
def endpoint(stack: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedbackEndpoint]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    table = stack.stack.blueprint.table_name("LedgerTable")
    with closing(Aws("eu-west-1", stack.aws_endpoint)) as client:
        yield FeedbackEndpoint(stack, client, Ledger(client, table), table)
