"""The suppression lists of all provider accounts of a tenant: check an address in each, and remove it from each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailroom.model.json_settings import merge
from mailroom.model.parameter_names import sender_names
from mailroom.providers import spec_of
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.settings import catalog, tenants
from mailroom_ops.suppression_lists import Listing, ProviderList, open_list

__all__ = ["AccountAnswer", "Accounts"]

PURPOSES = ("auth", "notification")
BY_HAND = {
    "aliyun": "its API covers the last 30 days only: see Invalid Addresses in the console of Direct Mail",
    "http": "it is a server of your own",
    "smtp": "a relay has no call for one: see the web page of its operator",
}


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """The listings of an address at one account; with a `problem` the list could not be read, and `todo` helps."""

    account: str
    listings: tuple[Listing, ...] = ()
    problem: str = ""
    todo: str = ""


class Accounts:
    """The accounts that a tenant's mail is sent through; of every tenant, without one."""

    def __init__(
        self, environment: Environment, values: Mapping[str, str], tenant: str = "", account: str = "", key: str = ""
    ) -> None:
        """`account` names a single one; `key` is used in place of its stored key."""
        self._environment = environment
        self._values = values
        in_use = _domains_by_account(environment, values, tenant)
        self._domains = {account: in_use.get(account, [])} if account else in_use
        self._key = key
        if key and len(self._domains) != 1:
            raise InvalidInput("A key belongs to one account.", f"Name it with --account: {', '.join(self._domains)}.")

    def check(self, address: str) -> Iterator[AccountAnswer]:
        """Yield each account's answer for an address, in the order of the chains."""
        for account in self._domains:
            try:
                opened = self._open(account)
                if isinstance(opened, str):
                    yield AccountAnswer(account, problem=opened)
                else:
                    yield AccountAnswer(account, tuple(opened.find(address)))
            except OperatorError as error:
                yield AccountAnswer(account, problem=error.sentence, todo=error.todo)

    def remove(self, answer: AccountAnswer) -> None:
        """Remove the listings of an answer from its account's list."""
        opened = self.list_of(answer.account)
        for listing in answer.listings:
            opened.remove(listing)

    def list_of(self, account: str) -> ProviderList:
        """Return the list of an account; raise InvalidInput where there is none to ask."""
        opened = self._open(account)
        if isinstance(opened, str):
            raise InvalidInput(f"{account}: {opened}.")
        return opened

    def _open(self, account: str) -> ProviderList | str:
        """Return the list of an account, or the reason why there is none to ask."""
        provider = catalog.split_account(account)[0]
        if hint := BY_HAND.get(provider):
            return f"has no list that can be asked: {hint}"
        settings = tenants.account_values(self._values, account)
        if self._key:
            settings = settings | dict.fromkeys(spec_of(provider).secrets, self._key)
        if fault := catalog.account_fault(account, settings):
            return f"is not set up: {fault}"
        return open_list(account, self._environment, settings, self._domains.get(account, ())) or "has no list"


def _domains_by_account(environment: Environment, values: Mapping[str, str], tenant: str) -> dict[str, list[str]]:
    names = [tenant] if tenant else [tenants.DEFAULT, *(item.name for item in tenants.list_tenants(values))]
    domains: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        for purpose in PURPOSES:
            for account in tenants.chain_of(values, name, purpose, environment.chain):
                own = domains.setdefault(account, [])
                domain = _sender_domain(values, name, purpose)
                if domain and domain not in own:
                    own.append(domain)
    return domains


def _sender_domain(values: Mapping[str, str], tenant: str, purpose: str) -> str:
    """Return the domain that a tenant's mail is sent from, by its own sender or the default one."""
    merged = merge(sender_names(tenant, purpose), values)
    return tenants.domain_of(str(merged.values.get("from") or ""))
