"""The two lanes and their dead-letter queues, on SQS."""

import os
from collections.abc import Mapping

from mailroom.aws import Aws
from mailroom.kinds import Lane
from mailroom.message import Parcel

__all__ = ["Queue"]

LONGEST_DELAY = 900  # SQS: a message can be delayed by at most 15 minutes


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

    def put(self, parcel: Parcel, delay: float = 0) -> None:
        """Queue a parcel, to be taken up after `delay` seconds."""
        seconds = min(round(delay), LONGEST_DELAY)
        self._send(self._lanes[parcel.lane], parcel, seconds)

    def bury(self, parcel: Parcel) -> None:
        """Lay a parcel that could not be sent where an operator finds and replays it."""
        self._send(self._dead_letters[parcel.lane], parcel, 0)

    def postpone(self, source_arn: str, receipt_handle: str, seconds: float) -> None:
        """Let a parcel that is still on its queue come back after `seconds` and not after the whole timeout."""
        name = source_arn.rpartition(":")[2]
        url = next(url for url in self._lanes.values() if url.endswith(f"/{name}"))
        timeout = {"QueueUrl": url, "ReceiptHandle": receipt_handle, "VisibilityTimeout": round(seconds)}
        self._aws.call("sqs", "ChangeMessageVisibility", timeout)

    def _send(self, url: str, parcel: Parcel, delay: int) -> None:
        self._aws.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": parcel.to_json(), "DelaySeconds": delay})
