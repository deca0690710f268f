"""A registrar of sending domains: the interface that each provider's file here implements."""

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
    """A sending domain as its provider knows it. `says` is the provider's own word for the state."""

    name: str
    account: str
    state: State
    says: str
    records: tuple[Record, ...]
    tracks: bool = False  # rewrites links, or counts who opens
    id: str = ""  # where the provider gives it one

    @property
    def return_path(self) -> str:
        """Where bounces go to: the domain SPF is asked about."""
        return next((record.name for record in self.records if record.purpose is Purpose.RETURN_PATH), "")


class Registrar(Protocol):
    """One provider's side. Each method raises a Problem where the provider says no."""

    def find(self, domain: str) -> Domain | None: ...

    def register(self, domain: str) -> Domain:
        """Register a domain, or return it as it is known already."""
        ...

    def verify(self, domain: Domain) -> Domain:
        """Ask the provider to look at DNS again."""
        ...

    def forget(self, domain: Domain) -> None: ...
