"""The trace of a message: its record, with the timeline in causal order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from mailroom.model.mailbox import is_address
from mailroom.model.record import Record, TimelineEntry
from mailroom.model.timeline import causal_timeline
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MESSAGE_ID, LedgerQueries

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

    @classmethod
    def of(cls, entry: TimelineEntry) -> "Step":
        detail = " ".join(filter(None, (entry.how, entry.reason, entry.detail, entry.error)))
        return cls(_time(entry.at), entry.event or entry.status or entry.answer, entry.provider, detail)


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
