"""The two lanes and their dead-letter queues, on SQS."""

import os
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Protocol

from mailroom.aws.client import MAX_ATTEMPTS, Aws
from mailroom.errors import DeliveryError
from mailroom.model.kinds import Lane

__all__ = ["Queue"]

MAX_DELAY_SECONDS = 900  # SQS: a message can be delayed by at most 15 minutes
MAX_PER_CALL = 10  # SQS: messages in one call


class Queued(Protocol):
    """A body that travels through a queue: a parcel, or a batch of them."""

    @property
    def lane(self) -> Lane: ...

    @property
    def tenant(self) -> str:
        """The tenant whose share of the queue it counts to; empty for none in particular."""
        ...

    def to_json(self) -> str: ...


class Queue:
    """Puts parcels on their lane. When a method returns, the parcel is durable."""

    def __init__(self, aws: Aws, lanes: Mapping[Lane, str], dead_letters: Mapping[Lane, str] = {}) -> None:
        self._aws = aws
        self._lanes = lanes
        self._dead_letters = dead_letters

    @classmethod
    def from_env(cls, aws: Aws) -> "Queue":
        lanes = {lane: os.environ[f"{lane.upper()}_QUEUE_URL"] for lane in Lane}
        dead = {lane: os.environ.get(f"{lane.upper()}_DEAD_LETTER_QUEUE_URL", "") for lane in Lane}
        return cls(aws, lanes, dead)

    def put(self, queued: Queued, delay: float = 0) -> None:
        """Enqueue a parcel or a batch, to be received after `delay` seconds."""
        self._send(self._lanes[queued.lane], queued, min(ceil(delay), MAX_DELAY_SECONDS), MAX_ATTEMPTS)

    def put_back(self, queued: Queued, delay: float) -> None:
        """Enqueue it in a single attempt: while SQS takes messages without an answer, each attempt is one more copy."""
        self._send(self._lanes[queued.lane], queued, min(ceil(delay), MAX_DELAY_SECONDS), 1)

    def dead_letter(self, queued: Queued) -> None:
        """Put an undeliverable parcel on the dead-letter queue."""
        self._send(self._dead_letters[queued.lane], queued, 0, MAX_ATTEMPTS)

    def postpone(self, source_arn: str, receipt_handle: str, seconds: float) -> bool:
        """Make a received message visible again after `seconds` instead of the whole visibility timeout.

        Return whether SQS has confirmed it.
        """
        timeout = {"ReceiptHandle": receipt_handle, "VisibilityTimeout": ceil(seconds)}
        try:
            self._aws.call("sqs", "ChangeMessageVisibility", {"QueueUrl": self._url(source_arn), **timeout})
        except DeliveryError:
            return False  # its handle is stale, or SQS is down: the message stays hidden for its visibility timeout
        return True

    def receive(self, source_arn: str) -> list[dict[str, Any]]:
        """Receive up to ten more messages, without waiting, as records of an event source."""
        query = {"QueueUrl": self._url(source_arn), "MaxNumberOfMessages": MAX_PER_CALL, "WaitTimeSeconds": 0}
        messages = self._aws.call("sqs", "ReceiveMessage", query).get("Messages", [])
        return [
            {
                "messageId": message["MessageId"],
                "body": message["Body"],
                "receiptHandle": message["ReceiptHandle"],
                "eventSourceARN": source_arn,
            }
            for message in messages
        ]

    def delete(self, source_arn: str, receipt_handles: Sequence[str]) -> None:
        """Delete received messages that are durable elsewhere; one that stays is received again, and recognized."""
        for start in range(0, len(receipt_handles), MAX_PER_CALL):
            handles = receipt_handles[start : start + MAX_PER_CALL]
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
            self._aws.call("sqs", "DeleteMessageBatch", {"QueueUrl": self._url(source_arn), "Entries": entries})

    def _url(self, source_arn: str) -> str:
        name = source_arn.rpartition(":")[2]
        return next(url for url in self._lanes.values() if url.endswith(f"/{name}"))

    def _send(self, url: str, queued: Queued, delay: int, attempts: int) -> None:
        # A fair queue: SQS gives messages of a group with a backlog, or with slow receivers, less of its attention.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html (2026-11)
        group = {"MessageGroupId": queued.tenant} if queued.tenant else {}
        body = {"QueueUrl": url, "MessageBody": queued.to_json(), "DelaySeconds": delay}
        self._aws.call("sqs", "SendMessage", body | group, attempts=attempts)
