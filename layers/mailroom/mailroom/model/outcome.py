"""The outcome of a delivery: its status, and the attempts that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mailroom.errors import DeliveryError

__all__ = ["Attempt", "Outcome", "Status"]


class Status(StrEnum):
    """The delivery status of a message. `accepted` is the only one that is not final."""

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
    def of(cls, error: DeliveryError, at: float, account: str = "") -> "Attempt":
        """Return a failed attempt, under the name of the account where its provider is to blame."""
        provider = account if account.partition(".")[0] == error.party else error.party
        return cls(at, provider, error.code, error.detail, type(error))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one delivery. With `retry_in`, it is not final: no provider has the mail for certain."""

    status: Status
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    tries: tuple[Attempt, ...] = ()
    retry_in: float | None = None  # seconds
    warnings: tuple[str, ...] = ()  # it was sent, but an operator should know
    problems: tuple[str, ...] = ()  # it was sent, but not with the tenant's own templates

    def to_dict(self) -> dict[str, str]:
        """Return the final facts as JSON values; attempts and warnings have been logged."""
        return {
            "status": self.status,
            "reason": self.reason,
            "provider": self.provider,
            "provider_id": self.provider_id,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> "Outcome":
        return cls(Status(values["status"]), values["reason"], values["provider"], values["provider_id"])
