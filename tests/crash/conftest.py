"""A stack whose AWS is behind a gate, whose queues give a lost message back soon, and a look at its ledger."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from mailroom.aws.dynamodb import decode
from mailroom_ops.sandbox.inbox import Captured
from tests.gate import AwsCall, AwsGate, Refusal
from tests.running import Running, running

SOON = {"VisibilityTimeout": 1}


@dataclass
class Watched:
    """The stack, with an eye on its ledger and its queues."""

    stack: Running

    @property
    def table(self) -> str:
        return self.stack.stack.blueprint.table_name("LedgerTable")

    def row(self, message_id: str) -> dict[str, Any]:
        """Return what the ledger knows of a message."""
        key = {"pk": {"S": f"message#{message_id}"}}
        item = self.stack.aws("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        return {name: decode(value) for name, value in item.items()}

    def post(self, to: str, code: str = "482913", type_: str = "SignIn", **payload: Any) -> str:
        """Hand a mail over as Logto does; return its message id."""
        answer = self.stack.logto({"to": to, "type": type_, "payload": {"code": code, **payload}})
        assert answer.status == 200, answer.text
        message_id: str = answer.json()["message_id"]
        return message_id

    def settled(self, message_id: str, text: str = "Email sent successfully") -> dict[str, Any]:
        """Wait until deliver has logged `text` about a message; return its row once the queues are empty."""
        self.stack.stack.logs.wait(lambda line: message_id in line and text in line, "deliver")
        self.drained()
        return self.row(message_id)

    def drained(self) -> None:
        """Wait until nothing is on a queue any more, and see that nothing was buried."""
        self.stack.until(lambda: self.waiting("CodesQueue") + self.waiting("NoticesQueue") == 0)
        assert self.waiting("CodesDeadLetterQueue") + self.waiting("NoticesDeadLetterQueue") == 0

    def waiting(self, queue: str) -> int:
        """Return how many messages a queue holds, in whatever state."""
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        found = self.stack.aws("sqs").get_queue_attributes(QueueUrl=self.queue(queue), AttributeNames=names)
        return sum(map(int, found["Attributes"].values()))

    def queue(self, name: str) -> str:
        return self.stack.stack.blueprint.queue_url(name)

    def mails(self, to: str) -> list[Captured]:
        return [mail for mail in self.stack.sandbox.inbox.all() if mail.to == to]


@dataclass
class Fragile(Watched):
    """The stack with a gate before its AWS, and the hand that kills."""

    gate: AwsGate

    def kill_deliver(self, _: AwsCall | None = None) -> Refusal:
        """End every process of `deliver` where it stands, and let the leases they held run out."""
        for pid in self.stack.stack.functions["deliver"].pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.end_leases()
        return Refusal()

    def end_leases(self) -> None:
        """Do what time does."""
        table = self.stack.aws("dynamodb")
        for row in table.scan(TableName=self.table)["Items"]:
            if "lease" in row:
                table.update_item(
                    TableName=self.table,
                    Key={"pk": row["pk"]},
                    UpdateExpression="SET lease = :past",
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )


@pytest.fixture(scope="session")
def behind_a_gate() -> Iterator[Fragile]:
    gate = AwsGate()
    with running(overrides={"CodesQueue": SOON, "NoticesQueue": SOON}, proxy=gate.stand_before) as stack:
        yield Fragile(stack, gate)
    gate.close()


@pytest.fixture
def fragile(behind_a_gate: Fragile) -> Iterator[Fragile]:
    behind_a_gate.stack.clear()
    yield behind_a_gate
    behind_a_gate.stack.sandbox.faults.clear()


@pytest.fixture
def watched(stack: Running) -> Iterator[Watched]:
    stack.clear()
    yield Watched(stack)
    stack.sandbox.faults.clear()
