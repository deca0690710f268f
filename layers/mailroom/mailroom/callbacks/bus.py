"""The event bus of EventBridge that gets the outcome events of all tenants, where the stack names one.

Rules of the account's own pass them on. Never an address: the tenants do not know the readers of a bus.
"""

import json
import os
from dataclasses import dataclass, replace

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.model.outcome_event import OutcomeEvent

__all__ = ["EventBus"]

SOURCE = "mailroom"


@dataclass(frozen=True, slots=True)
class EventBus:
    """One event bus, by its ARN."""

    aws: Aws
    arn: str

    @classmethod
    def from_env(cls, aws: Aws) -> "EventBus | None":
        """Return the bus of the stack; None where it has none."""
        arn = os.environ.get("OUTCOME_BUS", "")
        return cls(aws, arn) if arn else None

    def put(self, event: OutcomeEvent) -> None:
        """Put an event on the bus; raise a DeliveryError where it is not there for certain."""
        entry = {
            "EventBusName": self.arn,
            "Source": SOURCE,
            "DetailType": event.type,
            "Time": event.at,
            "Detail": json.dumps({"id": event.id, **replace(event, address="").data}),
        }
        answer = self.aws.call("events", "PutEvents", {"Entries": [entry]})
        if answer.get("FailedEntryCount"):
            raise TemporaryFailure("events", "throttled")  # the one reason that is not about the request
