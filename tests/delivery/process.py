"""One process of the deliver function, and its view of the queues."""

import io
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aws_lambda_powertools import Logger

from functions.deliver.app import build
from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.aws.metrics import Metrics
from mailroom.delivery.deliver import Delivery
from mailroom.model.message import Message, Parcel

__all__ = ["ARN", "Process", "end_leases", "parts_of", "take"]

ARN = "arn:aws:sqs:eu-west-1:123456789012:codes"


@dataclass
class Process:
    """Runs the handler; `log` is what it wrote."""

    aws: Aws
    seconds: float = 20.0  # until the invocation times out
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.delivery = Delivery.from_env(self.aws)
        logger = Logger(service=f"deliver-{uuid.uuid4()}", stream=self.log)
        self.handler: Callable[[Any, Any], dict[str, Any]] = build(self.delivery, logger, Metrics())

    @property
    def context(self) -> Any:
        return SimpleNamespace(
            function_name="deliver",
            memory_limit_in_mb=256,
            invoked_function_arn="arn",
            aws_request_id="request-id",
            get_remaining_time_in_millis=lambda: self.seconds * 1000,
        )

    def receive(self, *bodies: Parcel | str, receives: int = 1) -> list[str]:
        """Invoke the handler with these as its records; return the numbers of those that stay on the queue."""
        records = [
            {
                "messageId": f"{number}",
                "receiptHandle": f"handle {number}",
                "body": body if isinstance(body, str) else body.to_json(),
                "eventSourceARN": ARN,
                "attributes": {"ApproximateReceiveCount": f"{receives}"},
            }
            for number, body in enumerate(bodies)
        ]
        result = self.handler({"Records": records}, self.context)
        return [item["itemIdentifier"] for item in result["batchItemFailures"]]

    def row(self, message: Message) -> dict[str, Any]:
        key = {"pk": {"S": f"message#{message.id}"}}
        answer = self.aws.call("dynamodb", "GetItem", {"TableName": "ledger", "Key": key, "ConsistentRead": True})
        return decode_item(answer.get("Item", {}))

    def logged(self, message: str) -> list[dict[str, Any]]:
        """Return the log lines with this message."""
        return [line for line in map(json.loads, self.log.getvalue().splitlines()) if line["message"] == message]


def take(aws: Aws, queue: str = "codes") -> list[str]:
    """Take all that is on a lane, also what is delayed, off it."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": queue})["QueueUrl"]
    counts = aws.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
    expected = int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesDelayed"])
    bodies: list[str] = []
    while len(bodies) < expected:
        query = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        for message in aws.call("sqs", "ReceiveMessage", query).get("Messages", []):
            bodies.append(message["Body"])
            aws.call("sqs", "DeleteMessage", {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]})
    return bodies


def parts_of(process: Process) -> list[Any]:
    """Return the parts of a process that call AWS, to replace their `_aws`."""
    delivery = process.delivery
    return [delivery.ledger, delivery.ledger.recipients, delivery.queue, delivery.settings]


def end_leases(aws: Aws, sent: Iterable[Message]) -> None:
    """End the leases of messages, as time does."""
    for message in sent:
        key = {"pk": {"S": f"message#{message.id}"}}
        if "Item" in aws.call("dynamodb", "GetItem", {"TableName": "ledger", "Key": key}):
            past = {"UpdateExpression": "SET lease = :past", "ExpressionAttributeValues": {":past": {"N": "0"}}}
            aws.call("dynamodb", "UpdateItem", {"TableName": "ledger", "Key": key, **past})
