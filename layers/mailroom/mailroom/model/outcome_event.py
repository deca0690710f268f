"""An outcome event: one fact about a message, as it is reported to the message's tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailroom.model.event import Event, EventType
from mailroom.model.json_fields import compact_json
from mailroom.model.message import Message
from mailroom.model.outcome import Outcome, Status
from mailroom.model.record import Record

__all__ = ["EVENT_TYPES", "TEST_EVENT_TYPE", "OutcomeEvent"]

EVENT_TYPES = (
    "message.sent",
    "message.delivered",
    "message.bounced",
    "message.complained",
    "message.failed",
    "message.skipped",
    "message.suppressed",
    "message.unknown",
)
TEST_EVENT_TYPE = "callback.test"
SUPPRESSED = "suppressed"
TYPE_OF_STATUS = {
    Status.SENT: "message.sent",
    Status.FAILED: "message.failed",
    Status.SKIPPED: "message.skipped",
    Status.UNKNOWN: "message.unknown",
}
TYPE_OF_REPORT = {
    EventType.DELIVERED: "message.delivered",
    EventType.BOUNCED: "message.bounced",
    EventType.COMPLAINED: "message.complained",
    EventType.SUPPRESSED: "message.suppressed",
    EventType.REJECTED: "message.failed",
    EventType.FAILED: "message.failed",
}
OPTIONAL_FIELDS = ("idempotency_key", "provider", "reason", "permanent", "address")  # left out where they are empty


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """One event. A repetition of it has the same `id`, by which its receiver recognizes it.

    `recipient` is the keyed hash by which the ledger knows the address. `address` is empty unless the tenant asked for
    it. Never a code, a link or a subject.
    """

    id: str
    type: str
    at: float
    tenant: str
    message_id: str
    kind: str
    recipient: str
    idempotency_key: str = ""
    provider: str = ""
    reason: str = ""
    permanent: bool | None = None  # of a bounce: whether another mail to the address would bounce, too
    address: str = ""

    @classmethod
    def of_outcome(cls, message: Message, outcome: Outcome, recipient: str, at: float) -> "OutcomeEvent | None":
        """Return the event of a final outcome; None for one that is not final."""
        type_ = TYPE_OF_STATUS.get(outcome.status)
        if type_ is None:
            return None
        if outcome.status is Status.SKIPPED and outcome.reason == SUPPRESSED:
            type_ = "message.suppressed"
        return cls(
            id=f"{message.id}-{type_.partition('.')[2]}",
            type=type_,
            at=at,
            tenant=message.tenant,
            message_id=message.id,
            kind=message.kind,
            recipient=recipient,
            idempotency_key=message.idempotency_key,
            provider=outcome.provider,
            reason=outcome.reason,
            address=message.to,
        )

    @classmethod
    def of_report(cls, event: Event, record: Record, address: str) -> "OutcomeEvent | None":
        """Return the event of a provider's report; None for a report that changes nothing about the delivery."""
        type_ = TYPE_OF_REPORT.get(event.type)
        if type_ is None:
            return None
        return cls(
            id=f"{record.message_id}-{event.dedup_key}",
            type=type_,
            at=event.at,
            tenant=record.tenant,
            message_id=record.message_id,
            kind=record.kind,
            recipient=record.recipient,
            idempotency_key=record.idempotency_key,
            provider=event.provider,
            reason=event.reason or "",
            permanent=event.permanent if event.type is EventType.BOUNCED else None,
            address=address,
        )

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "OutcomeEvent":
        return cls(**{name: values[name] for name in cls.__slots__ if name in values})

    @property
    def data(self) -> dict[str, Any]:
        """The facts of the event, as its receivers get them."""
        facts = {name: getattr(self, name) for name in ("message_id", "tenant", "kind", "recipient")}
        return facts | {name: value for name in OPTIONAL_FIELDS if (value := getattr(self, name)) not in ("", None)}

    def to_json(self) -> str:
        """Return the body of the request by Standard Webhooks; a repetition does not change a byte."""
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return compact_json({"type": self.type, "timestamp": at, "data": self.data})
