"""Sending domains at providers that let us register them: one file each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailroom_ops.catalog import split
from mailroom_ops.dns_records import Purpose, Record
from mailroom_ops.environment import Environment

__all__ = ["BY_HAND", "Domain", "Registrar", "State", "load"]

# Where a domain is added at the other providers. Their DNS records are shown there.
BY_HAND: Mapping[str, str] = {
    "sendgrid": "https://app.sendgrid.com/settings/sender_auth",
    "mailgun": "https://app.mailgun.com/mg/sending/domains",
    "postmark": "https://account.postmarkapp.com/signature_domains",
    "aliyun": "https://dm.console.aliyun.com",
}


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


def load(account: str, environment: Environment, values: Mapping[str, str], key: str = "") -> Registrar | None:
    """Return who registers domains for an account; None where that is done by hand, or by nobody.

    `values` are the account's settings; `key` is one with more rights than the stored one, for this once.
    """
    match split(account)[0]:
        case "resend":
            from mailroom_ops.domains.resend import Resend

            return Resend(account, values, key)
        case "ses":
            from mailroom_ops.domains.ses import Ses

            return Ses(account, environment, values)
    return None
