"""Tenants: who they are, and how one comes, is set aside, and comes back.

A tenant is what the parameter store holds under its name: senders, a brand, a webhook's secret, provider accounts of
its own. Set aside, all of it moves below `removed/{tenant}/`, where no function reads, until it is restored or purged.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailroom.hostnames import to_ascii
from mailroom.model.json_settings import InvalidSetting, json_object, merge
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import sender_names
from mailroom.model.sender import provider_chain
from mailroom.providers import NAMES, spec_of
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Change, compare
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.promote import belongs

__all__ = [
    "DEFAULT",
    "Tenant",
    "TenantSpec",
    "account_values",
    "all_of",
    "chain_of",
    "check_wish",
    "domain_of",
    "domains_of",
    "faults_of",
    "from_of",
    "missing_secrets",
    "names_of",
    "own_domains",
    "plan",
    "purge",
    "restore",
    "set_aside",
]

DEFAULT = "default"
REMOVED = "removed/"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as it is set up; `removed` ones are set aside."""

    name: str
    senders: Mapping[str, Mapping[str, object]]  # by purpose
    has_webhook: bool
    accounts: tuple[str, ...] = ()  # of its own, at providers
    removed: bool = False

    @property
    def from_(self) -> str:
        return str(self.senders.get("auth", {}).get("from", ""))

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "senders": self.senders,
            "webhook": self.has_webhook,
            "accounts": self.accounts,
            "removed": self.removed,
        }


def all_of(values: Mapping[str, str]) -> list[Tenant]:
    """Return every tenant that an environment's values tell of, those set aside last."""
    aside: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        if name.startswith(REMOVED):
            _, tenant, rest = name.split("/", 2)
            aside.setdefault(tenant, {})[rest] = value
    names = sorted({owner for name in values if not name.startswith(REMOVED) and (owner := _owner(name))})
    return [_tenant(name, values) for name in names] + [_tenant(name, aside[name], True) for name in sorted(aside)]


def _owner(name: str) -> str:
    parts = name.split("/")
    match parts:
        case ["senders" | "brands", tenant, *_]:
            return tenant
        case ["webhooks", _, "authorization"]:
            return DEFAULT
        case ["webhooks", _, tenant, "authorization"]:
            return tenant
        case ["providers", account, _]:
            return catalog.split(account)[1]
    return ""


def _tenant(name: str, values: Mapping[str, str], removed: bool = False) -> Tenant:
    senders = {
        purpose: json_object(values[key]) or {}
        for purpose in ("auth", "notification")
        if (key := f"senders/{name}/{purpose}") in values
    }
    hook = "webhooks/logto/authorization" if name == DEFAULT else f"webhooks/logto/{name}/authorization"
    owned = {key.split("/")[1] for key in values if key.startswith("providers/") and name != DEFAULT}
    accounts = tuple(sorted(account for account in owned if catalog.split(account)[1] == name))
    return Tenant(name, senders, hook in values, accounts, removed)


def chain_of(values: Mapping[str, str], tenant: str, purpose: str, default: Sequence[str]) -> tuple[str, ...]:
    """Return the provider chain of a tenant's mail; `default` is the stack's own, also for a malformed chain."""
    try:
        return provider_chain(merge(sender_names(tenant, purpose), values), default)
    except InvalidSetting:
        return tuple(default)


def faults_of(values: Mapping[str, str], tenant: Tenant) -> dict[str, str]:
    """Return what is malformed of a tenant's sender, brand and own accounts, each by its name."""
    names = [f"senders/{tenant.name}/auth", f"senders/{tenant.name}/notification", f"brands/{tenant.name}"]
    found = {name: catalog.fault(name, values[name]) for name in names if name in values}
    found |= {account: catalog.account_fault(account, account_values(values, account)) for account in tenant.accounts}
    return {name: fault for name, fault in found.items() if fault}


def domains_of(values: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return every domain that mail is sent from, with the tenants and purposes that do."""
    found: dict[str, list[tuple[str, str]]] = {}
    for tenant in all_of(values):
        for purpose, sender in tenant.senders.items():
            if not tenant.removed and (domain := domain_of(str(sender.get("from", "")))):
                found.setdefault(domain, []).append((tenant.name, purpose))
    return found


def own_domains(values: Mapping[str, str], tenant: str) -> dict[str, list[str]]:
    """Return the domains that a tenant's own senders send from, each with their purposes."""
    found = {
        domain: [purpose for name, purpose in uses if name == tenant] for domain, uses in domains_of(values).items()
    }
    return {domain: purposes for domain, purposes in found.items() if purposes}


def from_of(sender: str) -> str:
    """Return the from-address of a sender as the parameter store has it."""
    return str((json_object(sender) or {}).get("from") or "")


def domain_of(mailbox: str) -> str:
    """Return the domain of a from-address, in the form DNS knows it; empty if it is none."""
    try:
        domain = Mailbox.parse(mailbox).address.rpartition("@")[2].lower()
    except ValueError:
        return ""
    return to_ascii(domain)


@dataclass(frozen=True, slots=True)
class TenantSpec:
    """What an operator wants a tenant to be; what is empty stays as it is."""

    name: str
    from_: str = ""
    purpose: str = "auth"
    reply_to: str = ""
    providers: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # providers at which it has an account of its own
    settings: Mapping[str, str] = field(default_factory=dict)  # of those, such as `smtp.host`
    brand: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # parameters, ready to be written

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(f"{name}.{self.name}" if name in self.own else name for name in self.providers)


def plan(wish: TenantSpec, values: Mapping[str, str]) -> list[Change]:
    """Return what has to change for a wish to come true, its sender last; raise InvalidInput where it cannot."""
    check_wish(wish, values)
    wanted = dict(wish.secrets)
    for key, value in wish.settings.items():
        provider, _, setting = key.partition(".")
        wanted[f"providers/{provider}.{wish.name}/{setting}"] = value
    sender_name, brand_name = f"senders/{wish.name}/{wish.purpose}", f"brands/{wish.name}"
    brand = {**(json_object(values.get(brand_name, "{}")) or {}), **wish.brand}
    if not brand.get("name") and wish.from_ and (shown := Mailbox.parse(wish.from_).name):
        brand["name"] = shown
    if brand:
        wanted[brand_name] = json.dumps(brand, ensure_ascii=False)
    said: dict[str, object] = {"from": wish.from_, "reply_to": wish.reply_to, "providers": list(wish.chain)}
    sender = (json_object(values.get(sender_name, "{}")) or {}) | {key: value for key, value in said.items() if value}
    wanted[sender_name] = json.dumps(sender, ensure_ascii=False)
    for name, value in wanted.items():
        if fault := catalog.fault(name, value):
            raise InvalidInput(f"{name} cannot be set: {fault}.")
    _require_accounts(wish, {**values, **wanted})
    return compare(values, wanted)


def check_wish(wish: TenantSpec, values: Mapping[str, str]) -> None:
    """Raise InvalidInput for what cannot be wished for."""
    if not re.fullmatch(catalog.TENANT, wish.name):
        raise InvalidInput(f"{wish.name!r} cannot be the name of a tenant.", "Use a-z, 0-9 and -, such as acme.")
    if any(name.startswith(f"{REMOVED}{wish.name}/") for name in values):
        raise InvalidInput(f"{wish.name} is set aside.", f"Bring it back: mailroom tenant restore {wish.name}")
    for kind, text in (("--from", wish.from_), ("--reply-to", wish.reply_to)):
        try:
            if text:
                Mailbox.parse(text)
        except ValueError as error:
            raise InvalidInput(f"{kind} is {error}.") from error
    if not wish.from_ and f"senders/{wish.name}/{wish.purpose}" not in values:
        raise InvalidInput("A new tenant needs --from.", 'Such as --from "Acme <no-reply@auth.example.com>".')
    for name in wish.providers:
        if not re.fullmatch(catalog.ACCOUNT, name):
            raise InvalidInput(f"There is no provider {name!r}.", f"Use {', '.join(NAMES)}.")
    if stray := [name for name in wish.own if name not in wish.providers]:
        raise InvalidInput(
            f"--own {stray[0]} is not in --providers.", f"Add it: --providers {','.join((*wish.providers, *stray))}"
        )
    if wish.own and wish.name == DEFAULT:
        raise InvalidInput("The accounts of the tenant default are everybody's.", "Leave --own out.")
    for key in wish.settings:
        provider, _, setting = key.partition(".")
        known = catalog.find(f"providers/{provider}.{wish.name}/{setting}")
        if provider not in wish.own or known is None:
            raise InvalidInput(
                f"--set {key} is not a setting of an --own provider.", "Such as --own smtp --set smtp.host=…"
            )
        if known.is_secret:
            where = f"providers/{provider}.{wish.name}/{setting}"
            raise InvalidInput(
                "A secret on the command line stays in your shell's history.", f"mailroom secrets set {where}"
            )


def _require_accounts(wish: TenantSpec, values: Mapping[str, str]) -> None:
    for account in wish.chain:
        if catalog.split(account)[1] != wish.name:
            continue
        if fault := catalog.account_fault(account, account_values(values, account)):
            raise InvalidInput(
                f"The account {account} is not complete: {fault}.", "Set it with `mailroom secrets set`."
            )


def account_values(values: Mapping[str, str], account: str) -> dict[str, str]:
    """Return the settings of a provider account."""
    before = f"providers/{account}/"
    return {name.removeprefix(before): value for name, value in values.items() if name.startswith(before)}


def missing_secrets(wish: TenantSpec, values: Mapping[str, str]) -> list[str]:
    """Name the secrets that a tenant's own accounts cannot do without, and that nobody has set."""
    found = []
    for provider in wish.own:
        keys = [key for key in spec_of(provider).required if f"{provider}.{key}" not in wish.settings]
        if provider == "smtp" and "smtp.username" in wish.settings:
            keys.append("password")
        names = [f"providers/{provider}.{wish.name}/{key}" for key in keys]
        found += [name for name in names if name not in values and (known := catalog.find(name)) and known.is_secret]
    return found


def set_aside(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Move all that is a tenant's out of reach; first the copies, then the originals."""
    names = names_of(tenant, values)
    store.write({f"{REMOVED}{tenant}/{name}": values[name] for name in names})
    store.delete(names)
    return names


def restore(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Move it back."""
    before = f"{REMOVED}{tenant}/"
    aside = {name.removeprefix(before): value for name, value in values.items() if name.startswith(before)}
    if not aside:
        raise InvalidInput(f"No tenant {tenant} is set aside.", "`mailroom tenant list` tells which are.")
    if taken := [name for name, value in aside.items() if values.get(name, value) != value]:
        raise InvalidInput(
            f"{tenant} exists: {taken[0]} is set.", f"Set it aside or purge the old one: mailroom tenant purge {tenant}"
        )
    store.write(aside)
    store.delete([before + name for name in aside])
    return list(aside)


def purge(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Delete for good what was set aside."""
    names = [name for name in values if name.startswith(f"{REMOVED}{tenant}/")]
    store.delete(names)
    return names


def names_of(tenant: str, values: Mapping[str, str]) -> list[str]:
    """Return the names of all that is a tenant's, or raise InvalidInput if nothing is."""
    if tenant == DEFAULT:
        raise InvalidInput("The tenant default cannot be removed: every other one falls back to it.")
    # Its senders go last: until then its mail still leaves as its own.
    names = sorted((name for name in values if belongs(name, tenant)), key=lambda name: name.startswith("senders/"))
    if not names:
        raise InvalidInput(f"There is no tenant {tenant}.", "`mailroom tenant list` tells which there are.")
    return names
