"""The two lanes and their dead-letter queues, on SQS."""

import os
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Protocol

from mailroom.aws.client import Aws
from mailroom.errors import DeliveryError
from mailroom.model.kinds import Lane

__all__ = ["Queue"]

LONGEST_DELAY = 900  # SQS: a message can be delayed by at most 15 minutes
MOST_AT_ONCE = 10  # SQS: messages in one call


class Queued(Protocol):
    """What travels through a queue: a parcel, or a crate of them."""

    @property
    def lane(self) -> Lane: ...

    def to_json(self) -> str: ...


class Queue:
    """Puts parcels on their lane. When a method returns, the parcel is durably ours."""

    def __init__(self, aws: Aws, lanes: Mapping[Lane, str], dead_letters: Mapping[Lane, str] = {}) -> None:
        self._aws = aws
        self._lanes = lanes
        self._dead_letters = dead_letters

    @classmethod
    def from_env(cls, aws: Aws) -> "Queue":
        lanes = {lane: os.environ[f"{lane.upper()}_QUEUE_URL"] for lane in Lane}
        dead = {lane: os.environ.get(f"{lane.upper()}_DEAD_LETTER_QUEUE_URL", "") for lane in Lane}
        return cls(aws, lanes, dead)

    def put(self, parcel: Queued, delay: float = 0) -> None:
        """Queue a parcel or a crate, to be taken up after `delay` seconds."""
        seconds = min(ceil(delay), LONGEST_DELAY)
        self._send(self._lanes[parcel.lane], parcel, seconds)

    def bury(self, parcel: Queued) -> None:
        """Lay a parcel that could not be sent where an operator finds and replays it."""
        self._send(self._dead_letters[parcel.lane], parcel, 0)

    def postpone(self, source_arn: str, receipt_handle: str, seconds: float) -> None:
        """Let a parcel that is still on its queue come back after `seconds` and not after the whole timeout."""
        timeout = {"ReceiptHandle": receipt_handle, "VisibilityTimeout": ceil(seconds)}
        try:
            self._aws.call("sqs", "ChangeMessageVisibility", {"QueueUrl": self._url(source_arn), **timeout})
        except DeliveryError:
            pass  # its handle is stale, or SQS is down: it comes back by itself, only later

    def receive(self, source_arn: str) -> list[dict[str, Any]]:
        """Take up to ten more from a queue, without waiting, as Lambda would hand them over."""
        query = {"QueueUrl": self._url(source_arn), "MaxNumberOfMessages": MOST_AT_ONCE, "WaitTimeSeconds": 0}
        found = self._aws.call("sqs", "ReceiveMessage", query).get("Messages", [])
        return [
            {"body": one["Body"], "receiptHandle": one["ReceiptHandle"], "eventSourceARN": source_arn} for one in found
        ]

    def delete(self, source_arn: str, receipt_handles: Sequence[str]) -> None:
        """Take off a queue what `receive` gave and what is now safe elsewhere; what stays comes back, and is known."""
        for start in range(0, len(receipt_handles), MOST_AT_ONCE):
            handles = receipt_handles[start : start + MOST_AT_ONCE]
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
            self._aws.call("sqs", "DeleteMessageBatch", {"QueueUrl": self._url(source_arn), "Entries": entries})

    def _url(self, source_arn: str) -> str:
        name = source_arn.rpartition(":")[2]
        return next(url for url in self._lanes.values() if url.endswith(f"/{name}"))

    def _send(self, url: str, parcel: Queued, delay: int) -> None:
        self._aws.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": parcel.to_json(), "DelaySeconds": delay})
