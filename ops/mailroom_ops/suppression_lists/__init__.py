"""The suppression lists that providers keep of their own: find, remove, read all. One file per provider."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailroom.feedback.suppression import Cause
from mailroom_ops.environment import Environment
from mailroom_ops.provider_modules import provider_module

__all__ = ["Listing", "ProviderList", "open_list"]


@dataclass(frozen=True, slots=True)
class Listing:
    """An address on a provider's suppression list; `part` names the list where a provider has several."""

    address: str
    cause: Cause
    since: datetime | None = None
    part: str = ""


class ProviderList(Protocol):
    """The suppression list of one account. A request that fails raises an OperatorError."""

    def find(self, address: str) -> list[Listing]:
        """Return the listings of an address; empty if the provider sends to it."""
        ...

    def remove(self, listing: Listing) -> None:
        """Remove a listing; one that is gone already is no error."""
        ...

    def entries(self) -> Iterator[Listing]:
        """Yield every listing of the account, page by page."""
        ...


def open_list(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> ProviderList | None:
    """Return the list of an account with these settings; None for a provider that has no calls for one.

    `domains` are those that the account sends from.
    """
    if module := provider_module(__name__, account):
        opened: ProviderList = module.open_list(account, environment, values, domains)
        return opened
    return None
