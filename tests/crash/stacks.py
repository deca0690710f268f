"""A running stack with access to its ledger and queues, and a gate before its AWS that kills processes."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mailroom.aws.dynamodb import decode
from mailroom_ops.sandbox.inbox import Captured
from tests.gate import AwsCall, AwsGate, Refusal
from tests.running import Running

__all__ = ["Fragile", "Watched"]


@dataclass
class Watched:
    """A running stack, with access to its ledger and its queues."""

    stack: Running

    @property
    def table(self) -> str:
        return self.stack.stack.blueprint.table_name("LedgerTable")

    def row(self, message_id: str) -> dict[str, Any]:
        """Return the ledger's row of a message."""
        key = {"pk": {"S": f"message#{message_id}"}}
        item = self.stack.aws("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        return {name: decode(value) for name, value in item.items()}

    def post(self, to: str, code: str = "482913", type_: str = "SignIn", **payload: Any) -> str:
        """Post a request of Logto's; return the message id."""
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
        """Wait until the queues are empty; assert that there are no dead letters."""
        self.stack.until(lambda: self.waiting("CodesQueue") + self.waiting("NoticesQueue") == 0)
        assert self.waiting("CodesDeadLetterQueue") + self.waiting("NoticesDeadLetterQueue") == 0

    def waiting(self, queue: str) -> int:
        """Return the number of messages in a queue, in all states."""
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        answer = self.stack.aws("sqs").get_queue_attributes(QueueUrl=self.queue(queue), AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    def queue(self, name: str) -> str:
        return self.stack.stack.blueprint.queue_url(name)

    def mails(self, to: str) -> list[Captured]:
        return [mail for mail in self.stack.sandbox.inbox.all() if mail.to == to]


@dataclass
class Fragile(Watched):
    """A running stack with a gate before its AWS; it can kill deliver."""

    gate: AwsGate

    def kill_deliver(self, _: AwsCall | None = None) -> Refusal:
        """Kill every process of `deliver` at once, and end its leases."""
        for pid in self.stack.stack.functions["deliver"].pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.end_leases()
        return Refusal()

    def end_leases(self) -> None:
        """End all leases, as they would expire with time."""
        table = self.stack.aws("dynamodb")
        for row in table.scan(TableName=self.table)["Items"]:
            if "lease" in row:
                table.update_item(
                    TableName=self.table,
                    Key={"pk": row["pk"]},
                    UpdateExpression="SET lease = :past",
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )
