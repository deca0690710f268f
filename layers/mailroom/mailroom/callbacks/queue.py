"""The queue of outcome events, and its dead letters, on SQS."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from mailroom.aws.client import MAX_ATTEMPTS, Aws
from mailroom.model.json_fields import compact_json
from mailroom.model.outcome_event import OutcomeEvent

__all__ = ["OutcomeQueue", "QueuedEvent"]

MAX_DELAY_SECONDS = 900  # SQS: a message can be delayed by at most 15 minutes


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An outcome event as it travels through the queue, with the state of its delivery."""

    event: OutcomeEvent
    queued_at: float
    attempts: int = 0  # requests that its endpoint did not accept
    is_on_bus: bool = False  # of EventBridge, where the stack has one

    def to_json(self) -> str:
        values = {
            "event": self.event.to_dict(),
            "queued_at": self.queued_at,
            "attempts": self.attempts,
            "is_on_bus": self.is_on_bus,
        }
        return compact_json(values)

    @classmethod
    def from_json(cls, body: str) -> "QueuedEvent":
        """Read the body of a queued message; raise ValueError, KeyError or TypeError for anything else."""
        values: Mapping[str, Any] = json.loads(body)
        event = OutcomeEvent.from_dict(values["event"])
        return cls(event, float(values["queued_at"]), int(values["attempts"]), bool(values.get("is_on_bus")))


@dataclass(frozen=True, slots=True)
class OutcomeQueue:
    """Puts events on the queue. When a method returns, the event is durable."""

    aws: Aws
    url: str
    dead_letter_url: str = ""

    @classmethod
    def from_env(cls, aws: Aws) -> "OutcomeQueue":
        dead_letter_url = os.environ.get("OUTCOMES_DEAD_LETTER_QUEUE_URL", "")
        return cls(aws, os.environ["OUTCOMES_QUEUE_URL"], dead_letter_url)

    def put(self, queued: QueuedEvent, delay: float = 0, *, attempts: int = MAX_ATTEMPTS) -> None:
        """Enqueue an event, to be received after `delay` seconds."""
        self._send(self.url, queued, min(ceil(delay), MAX_DELAY_SECONDS), attempts)

    def dead_letter(self, queued: QueuedEvent) -> None:
        """Put an event that its endpoint did not accept in time on the dead-letter queue."""
        self._send(self.dead_letter_url, queued, 0, 1)

    def _send(self, url: str, queued: QueuedEvent, delay: int, attempts: int) -> None:
        # A fair queue: the events of a tenant with a backlog do not delay those of another.
        body = {"QueueUrl": url, "MessageBody": queued.to_json(), "DelaySeconds": delay}
        self.aws.call("sqs", "SendMessage", body | {"MessageGroupId": queued.event.tenant}, attempts=attempts)
