"""A process of notify, and the queue before it."""

import time
from typing import Any

from functions.notify.app import build
from mailroom.aws.client import Aws
from mailroom.callbacks.notifier import Notifier
from mailroom.callbacks.queue import QueuedEvent
from mailroom.model.outcome_event import OutcomeEvent
from tests.cloud import put
from tests.factories import NOW, Clock
from tests.lambda_function import LambdaFunction

__all__ = ["Notify", "outcome_event", "queued_events"]

QUEUE = "outcomes"


def outcome_event(number: int = 1, *, tenant: str = "acme", type_: str = "message.sent", **fields: Any) -> OutcomeEvent:
    """Return an event; `fields` override those of its message."""
    id_ = f"{number:032x}"
    event_id = f"{id_}-{type_.partition('.')[2]}"
    return OutcomeEvent(event_id, type_, NOW + number, tenant, id_, "sign-in-code", "hash-of-the-address", **fields)


def queued_events(aws: Aws, queue: str = QUEUE) -> list[QueuedEvent]:
    """Return the events on a queue, also delayed ones."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": queue})["QueueUrl"]
    counts = aws.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
    expected = int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesDelayed"])
    events: list[QueuedEvent] = []
    while len(events) < expected:
        answer = aws.call("sqs", "ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 1})
        messages = answer.get("Messages", [])
        if not messages:
            break
        events += [QueuedEvent.from_json(message["Body"]) for message in messages]
    return events


class Notify:
    """One process of the function. Its clock is a test's; what it puts back is kept in `put_back`, with its delay."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.clock = Clock(time.time())  # a receiver verifies the signed time
        self.notifier = Notifier.from_env(aws)
        self.notifier.clock = self.clock
        self.put_back: list[tuple[QueuedEvent, float]] = []
        self.dead: list[QueuedEvent] = []
        self._function = LambdaFunction(lambda logger, metrics: build(self.notifier, logger, metrics), aws)
        self.set_seconds_left(1e6)

    def set(self, tenant: str, url: str, *secrets: str, **options: Any) -> None:
        """Set a tenant's callback, and have the process read it."""
        put(self.aws, f"callbacks/{tenant}", {"url": url, "secrets": list(secrets), **options})
        self.notifier.settings.forget()

    def __call__(self, *events: OutcomeEvent | QueuedEvent | str) -> list[str]:
        """Invoke the function with events; return the ids of the records that stay on the queue."""
        bodies = [self._body(event) for event in events]
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        call = self.aws.call
        url, dead_url = self.notifier.queue.url, self.notifier.queue.dead_letter_url

        def watched(service: str, operation: str, payload: Any, **options: Any) -> dict[str, Any]:
            if operation == "SendMessage":
                queued = QueuedEvent.from_json(payload["MessageBody"])
                if payload["QueueUrl"] == dead_url:
                    self.dead.append(queued)
                elif payload["QueueUrl"] == url:
                    self.put_back.append((queued, payload["DelaySeconds"]))
            return call(service, operation, payload, **options)

        self.aws.call = watched  # type: ignore[method-assign]
        try:
            answer = self._function({"Records": records})
        finally:
            self.aws.call = call  # type: ignore[method-assign]
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def set_seconds_left(self, seconds: float) -> None:
        self._function.seconds_left = seconds

    def logged(self, message: str = "") -> list[dict[str, Any]]:
        return self._function.logged(message)

    def _body(self, event: OutcomeEvent | QueuedEvent | str) -> str:
        if isinstance(event, OutcomeEvent):
            event = QueuedEvent(event, self.clock())
        return event if isinstance(event, str) else event.to_json()
