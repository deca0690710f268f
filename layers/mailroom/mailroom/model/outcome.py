"""The outcome of a delivery: its status, and the attempts that led to it."""

from dataclasses import dataclass
from enum import StrEnum

from mailroom.errors import DeliveryError

__all__ = ["Attempt", "Outcome", "Status"]


class Status(StrEnum):
    """What a message has come to. `accepted` is the only one that is not final."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one provider, for the timeline."""

    at: float
    provider: str
    answer: str
    detail: str = ""
    error: type[DeliveryError] | None = None

    @classmethod
    def of(cls, error: DeliveryError, at: float) -> "Attempt":
        return cls(at, error.party, error.code, error.detail, type(error))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one delivery. With `retry_in`, it is not over."""

    status: Status
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    tries: tuple[Attempt, ...] = ()
    retry_in: float | None = None
    warnings: tuple[str, ...] = ()  # it went, but an operator should know
    problems: tuple[str, ...] = ()  # it went, but not with the tenant's own templates
