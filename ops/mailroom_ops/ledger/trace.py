"""The trace of a message: its record, with the timeline in causal order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from mailroom.model.mailbox import is_address
from mailroom.model.outcome import Status
from mailroom.model.record import Record, TimelineEntry
from mailroom.model.timeline import causal_timeline
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MESSAGE_ID, LedgerQueries
from mailroom_ops.ledger.reasons import Explanation, explain

__all__ = ["MIN_PREFIX_LENGTH", "Step", "Trace", "find_traces", "is_prefix"]

MIN_PREFIX_LENGTH = 8  # fewer characters are those of more than a minute
ID_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX_LENGTH},31}}")


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a timeline: the request, an attempt at a provider, a status of ours, or a provider's event."""

    at: datetime
    event: str
    provider: str = ""
    detail: str = ""
    is_attempt: bool = False  # one that brought no acceptance
    explanation: Explanation | None = None

    @classmethod
    def of(cls, entry: TimelineEntry) -> "Step":
        detail = " ".join(filter(None, (entry.how, entry.reason, entry.detail, entry.error)))
        event = entry.event or entry.status or entry.answer
        explanation = explain(entry.reason or entry.answer, entry.event or entry.status)
        return cls(_time(entry.at), event, entry.provider, detail, bool(entry.error), explanation)


@dataclass(frozen=True, slots=True)
class Trace:
    """One message as the ledger records it, its address masked."""

    id: str
    tenant: str
    kind: str
    to: str
    source: str
    status: str
    reason: str
    provider: str
    provider_id: str
    created: datetime
    steps: tuple[Step, ...]
    recipient: str = ""  # a keyed hash of the address
    next_at: datetime | None = None  # of the next attempt, while it waits for one

    @property
    def attempts(self) -> list[Step]:
        """The attempts that brought no acceptance."""
        return [step for step in self.steps if step.is_attempt]

    @property
    def is_waiting(self) -> bool:
        """Whether an attempt has failed, and another one follows."""
        return self.status == Status.ACCEPTED and bool(self.attempts)

    @property
    def account(self) -> str:
        """The provider account that has the mail; while it waits, the one that was asked last."""
        return self.provider or (self.attempts[-1].provider if self.is_waiting else "")

    @property
    def latest_reason(self) -> str:
        """The reason of its status; while it waits, that of its last attempt."""
        return self.reason or (self.attempts[-1].event if self.is_waiting else "")

    @property
    def explanation(self) -> Explanation | None:
        """The meaning of its latest reason, and the next step."""
        return explain(self.latest_reason, self.status)

    @classmethod
    def of(cls, record: Record) -> "Trace":
        return cls(
            id=record.message_id,
            tenant=record.tenant,
            kind=record.kind,
            to=record.to,
            source=record.source,
            status=record.status,
            reason=record.reason,
            provider=record.provider,
            provider_id=record.provider_id,
            created=_time(record.created_at),
            steps=tuple(map(Step.of, causal_timeline(record))),
            recipient=record.recipient,
            next_at=_time(record.next_at) if record.next_at and record.status is Status.ACCEPTED else None,
        )

    def to_json(self) -> dict[str, object]:
        """Return the trace as `mailroom trace --json` prints it."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "kind": self.kind,
            "to": self.to,
            "source": self.source,
            "status": self.status,
            "reason": self.reason,
            "provider": self.provider,
            "provider_id": self.provider_id,
            "created": self.created.isoformat(timespec="milliseconds"),
            "steps": [
                {
                    "at": step.at.isoformat(timespec="milliseconds"),
                    "what": step.event,
                    "by": step.provider,
                    "why": step.detail,
                }
                for step in self.steps
            ],
        }


def find_traces(queries: LedgerQueries, name: str) -> Iterator[Trace]:
    """Yield the messages with a message id or its beginning, an address, or a provider's id, newest first."""
    name = name.strip()
    if MESSAGE_ID.fullmatch(name):
        record = queries.get(name)
        records = iter([record] if record else [])
    elif is_address(name):
        records = queries.find_by_address(name)
    elif name and " " not in name:
        records = queries.find_by_prefix(name) if is_prefix(name) else iter(())
        if (first := next(records, None)) is None:
            records = queries.find_by_provider_id(name.strip("<>"))
        else:
            records = chain([first], records)
    else:
        raise InvalidInput("That is neither a message id nor an address.", "Give one of them, or a provider's own id.")
    return map(Trace.of, records)


def is_prefix(name: str) -> bool:
    """Return whether this may be the beginning of a message id."""
    return ID_PREFIX.fullmatch(name) is not None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
