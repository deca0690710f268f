"""A record: the ledger's row of one message, as its readers need it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.model.outcome import Status

__all__ = ["MESSAGE_ROW", "Record", "TimelineEntry"]

MESSAGE_ROW = "message#"  # how the key of such a row begins


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A step of a message: an attempt has an `answer`, its outcome a `status`, a provider's later report an `event`."""

    at: float
    answer: str = ""
    status: str = ""
    event: str = ""
    provider: str = ""
    reason: str = ""
    detail: str = ""
    error: str = ""  # the kind of an attempt's error
    how: str = ""  # `transient` for a soft bounce

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "TimelineEntry":
        return cls(**{name: row[name] for name in cls.__slots__ if name in row})


@dataclass(frozen=True, slots=True)
class Record:
    """One message, without its content. Times are seconds since the epoch."""

    message_id: str
    tenant: str
    kind: str
    source: str
    to: str  # masked
    recipient: str  # a keyed hash of the address
    created_at: float
    status: Status
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    idempotency_key: str = ""  # of a tenant with a callback
    domain_group: str = ""  # the domain of the tenant's own that its recipient belongs to
    timeline: tuple[TimelineEntry, ...] = ()
    next_at: float = 0.0  # of the next attempt, after one that brought no outcome
    suppressed_by: frozenset[str] = frozenset()  # deduplication keys of the events that suppressed the recipient

    def acceptance_by(self, account: str) -> TimelineEntry | None:
        """Return the latest acceptance by an account that reports on the mail.

        SES reports under a name of its own on mail that a relay gave to it: then the latest acceptance by any account.
        """
        accepted = [entry for entry in self.timeline if entry.answer == "accepted"]
        own = [entry for entry in accepted if entry.provider == account]
        return next(reversed(own or accepted), None)

    def seconds_to_inbox(self, account: str, delivered_at: float) -> float:
        """Return the time from the acceptance by an account to a delivery; from our own, where that is not recorded."""
        acceptance = self.acceptance_by(account)
        return max(0.0, delivered_at - (acceptance.at if acceptance else self.created_at))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Record":
        """Read a decoded row."""
        return cls(
            message_id=row["pk"].removeprefix(MESSAGE_ROW),
            tenant=row["tenant"],
            kind=row["kind"],
            source=row["source"],
            to=row["to"],
            recipient=row["recipient"],
            created_at=row["created"],
            status=Status(row["status"]),
            reason=row.get("reason", ""),
            provider=row.get("provider", ""),
            provider_id=row.get("provider_id", ""),
            idempotency_key=row.get("idempotency_key", ""),
            domain_group=row.get("domain_group", ""),
            timeline=tuple(map(TimelineEntry.from_row, row["timeline"])),
            next_at=row.get("next_at", 0.0),
            suppressed_by=row.get("suppressed_by", frozenset()),
        )
