"""The interface to a provider's API for sending domains; one file per provider implements it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailroom_ops.domains.records import Purpose, Record

__all__ = ["Domain", "Registrar", "State"]


class State(StrEnum):
    VERIFIED = "verified"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Domain:
    """A sending domain as registered with its provider; `status` is the provider's own word for the state."""

    name: str
    account: str
    state: State
    status: str
    records: tuple[Record, ...]
    has_tracking: bool = False  # the provider rewrites links, or counts opens
    id: str = ""  # only where the provider assigns one

    @property
    def return_path(self) -> str:
        """The domain that bounces go to, for which receivers check SPF."""
        return next((record.name for record in self.records if record.purpose is Purpose.RETURN_PATH), "")


class Registrar(Protocol):
    """The domains of one provider account. Each method raises an OperatorError where the provider refuses."""

    def find(self, domain: str) -> Domain | None: ...

    def register(self, domain: str) -> Domain:
        """Register a domain, or return the registration that exists."""
        ...

    def verify(self, domain: Domain) -> Domain:
        """Have the provider check DNS again."""
        ...

    def delete(self, domain: Domain) -> None: ...
