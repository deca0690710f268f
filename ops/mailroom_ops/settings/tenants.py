"""Tenants: list, add, change, remove, restore and purge them.

A tenant consists of the parameters under its name: senders, a brand, a webhook's secret, dedicated provider accounts.
When it is removed, they move below `removed/{tenant}/`, where no function reads, until it is restored or purged.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mailroom.model.hostnames import to_ascii
from mailroom.model.json_settings import InvalidSetting, json_object, merge
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import DEFAULT_TENANT, sender_names, webhook_secret
from mailroom.model.sender import provider_chain
from mailroom.providers import NAMES, spec_of
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Change, compare, pending
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.promote import belongs

__all__ = [
    "DEFAULT",
    "Tenant",
    "TenantSpec",
    "account_values",
    "apply",
    "chain_of",
    "check_spec",
    "domain_of",
    "domains_of",
    "faults_of",
    "from_of",
    "list_tenants",
    "missing_secrets",
    "names_of",
    "own_domains",
    "plan",
    "plan_all",
    "purge",
    "remove",
    "restore",
]

DEFAULT = DEFAULT_TENANT
REMOVED = "removed/"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as it is configured."""

    name: str
    senders: Mapping[str, Mapping[str, object]]  # by purpose
    has_webhook: bool
    accounts: tuple[str, ...] = ()  # its dedicated ones at providers
    removed: bool = False
    sources: tuple[str, ...] = ()  # the auth servers with settings of the tenant's own

    @property
    def from_(self) -> str:
        return str(self.senders.get("auth", {}).get("from", ""))

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "senders": self.senders,
            "webhook": self.has_webhook,
            "sources": self.sources,
            "accounts": self.accounts,
            "removed": self.removed,
        }


def list_tenants(values: Mapping[str, str]) -> list[Tenant]:
    """Return every tenant in the parameters of an environment, removed ones last."""
    removed: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        if name.startswith(REMOVED):
            _, tenant, rest = name.split("/", 2)
            removed.setdefault(tenant, {})[rest] = value
    names = sorted({owner for name in values if not name.startswith(REMOVED) and (owner := _owner(name))})
    return [_tenant(name, values) for name in names] + [
        _tenant(name, removed[name], removed=True) for name in sorted(removed)
    ]


def _owner(name: str) -> str:
    parts = name.split("/")
    match parts:
        case ["senders" | "brands", tenant, *_]:
            return tenant
        case ["webhooks", _, _]:
            return DEFAULT
        case ["webhooks", _, tenant, _]:
            return tenant
        case ["providers", account, _]:
            return catalog.split_account(account)[1]
    return ""


def _tenant(name: str, values: Mapping[str, str], *, removed: bool = False) -> Tenant:
    senders = {
        purpose: json_object(values[key]) or {}
        for purpose in ("auth", "notification")
        if (key := f"senders/{name}/{purpose}") in values
    }
    owned = {key.split("/")[1] for key in values if key.startswith("providers/") and name != DEFAULT}
    accounts = tuple(sorted(account for account in owned if catalog.split_account(account)[1] == name))
    sources = {key.split("/")[1] for key in values if key.startswith("webhooks/") and _owner(key) == name}
    return Tenant(name, senders, webhook_secret(name) in values, accounts, removed, tuple(sorted(sources)))


def chain_of(values: Mapping[str, str], tenant: str, purpose: str, default: Sequence[str]) -> tuple[str, ...]:
    """Return the provider chain of a tenant's mail; `default` is the stack's own, also for a malformed chain."""
    try:
        return provider_chain(merge(sender_names(tenant, purpose), values), default)
    except InvalidSetting:
        return tuple(default)


def faults_of(values: Mapping[str, str], tenant: Tenant) -> dict[str, str]:
    """Return what is wrong with a tenant's sender, brand and dedicated accounts, by their names."""
    names = [f"senders/{tenant.name}/auth", f"senders/{tenant.name}/notification", f"brands/{tenant.name}"]
    faults = {name: catalog.fault(name, values[name]) for name in names if name in values}
    faults |= {account: catalog.account_fault(account, account_values(values, account)) for account in tenant.accounts}
    return {name: fault for name, fault in faults.items() if fault}


def domains_of(values: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return every domain that mail is sent from, with the tenants and purposes that use it."""
    domains: dict[str, list[tuple[str, str]]] = {}
    for tenant in list_tenants(values):
        for purpose, sender in tenant.senders.items():
            if not tenant.removed and (domain := domain_of(str(sender.get("from", "")))):
                domains.setdefault(domain, []).append((tenant.name, purpose))
    return domains


def own_domains(values: Mapping[str, str], tenant: str) -> dict[str, list[str]]:
    """Return the domains of a tenant's own senders, with their purposes."""
    domains = {
        domain: [purpose for name, purpose in uses if name == tenant] for domain, uses in domains_of(values).items()
    }
    return {domain: purposes for domain, purposes in domains.items() if purposes}


def from_of(sender: str) -> str:
    """Return the from-address of a sender as it is stored."""
    return str((json_object(sender) or {}).get("from") or "")


def domain_of(mailbox: str) -> str:
    """Return the domain of a from-address, in the form that DNS uses; empty for no valid address."""
    try:
        domain = Mailbox.parse(mailbox).address.rpartition("@")[2].lower()
    except ValueError:
        return ""
    return to_ascii(domain)


@dataclass(frozen=True, slots=True)
class TenantSpec:
    """The requested settings of a tenant; an empty one leaves the current setting as it is.

    An empty value in `brand` removes a key, and `unset` names the keys that are removed from the sender: the tenant
    inherits them again.
    """

    name: str
    from_: str = ""
    purpose: str = "auth"
    reply_to: str = ""
    providers: tuple[str, ...] = ()
    own: tuple[str, ...] = ()  # providers at which it has a dedicated account
    settings: Mapping[str, str] = field(default_factory=dict)  # of its dedicated accounts, such as `smtp.host`
    brand: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the names of their parameters

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(f"{name}.{self.name}" if name in self.own else name for name in self.providers)

    def command(self, label: str, *, with_domain: bool) -> str:
        """Return the command line for a spec without a dedicated account; empty where it changes nothing."""
        options = [("--from", self.from_), ("--reply-to", self.reply_to), ("--providers", ",".join(self.providers))]
        options += [("--brand", f"{key}={value}") for key, value in self.brand.items()]
        options += [("--unset", key) for key in self.unset]
        words = [word for option, value in options if value for word in (option, value)]
        purpose = [] if self.purpose == "auth" else ["--purpose", self.purpose]
        domain = [] if with_domain else ["--no-domain"]
        return shlex.join(["mailroom", "tenant", "add", self.name, *words, *purpose, *domain, "--env", label])


def plan(spec: TenantSpec, values: Mapping[str, str]) -> list[Change]:
    """Return the changes that a spec requires, the sender last; raise InvalidInput for an unusable spec."""
    check_spec(spec, values)
    target: dict[str, str | None] = dict(spec.secrets)
    for key, value in spec.settings.items():
        provider, _, setting = key.partition(".")
        target[f"providers/{provider}.{spec.name}/{setting}"] = value
    sender_name, brand_name = f"senders/{spec.name}/{spec.purpose}", f"brands/{spec.name}"
    removed = {key for key, value in spec.brand.items() if not value}
    brand = {**(json_object(values.get(brand_name, "{}")) or {}), **spec.brand}
    brand = {key: value for key, value in brand.items() if key not in removed}
    if not brand.get("name") and spec.from_ and (display_name := Mailbox.parse(spec.from_).name):
        brand["name"] = display_name
    if brand or brand_name in values:
        target[brand_name] = json.dumps(brand, ensure_ascii=False)
    options: dict[str, object] = {"from": spec.from_, "reply_to": spec.reply_to, "providers": list(spec.chain)}
    sender = (json_object(values.get(sender_name, "{}")) or {}) | {
        key: value for key, value in options.items() if value
    }
    sender = {key: value for key, value in sender.items() if key not in spec.unset}
    if sender or sender_name in values:
        target[sender_name] = json.dumps(sender, ensure_ascii=False) if sender else None
    for name, new in target.items():
        if new is not None and (fault := catalog.fault(name, new)):
            raise InvalidInput(f"{name} cannot be set: {fault}.")
    _require_accounts(spec, {**values, **{name: new or "" for name, new in target.items()}})
    return compare(values, target)


def plan_all(specs: Sequence[TenantSpec], values: Mapping[str, str]) -> list[Change]:
    """Return the changes that several specs of one tenant require, such as those of its two senders."""
    target: dict[str, str | None] = {}
    for spec in specs:
        current = {name: value for name, value in {**values, **target}.items() if value is not None}
        target |= {change.name: change.new for change in plan(spec, current)}
    return compare(values, dict(sorted(target.items(), key=lambda item: item[0].startswith("senders/"))))


def apply(store: Parameters, planned: Iterable[Change]) -> None:
    """Write what is planned, and then delete what is planned to go."""
    changes = pending(planned)
    store.write({change.name: change.new for change in changes if change.new is not None})
    store.delete([change.name for change in changes if change.new is None])


def check_spec(spec: TenantSpec, values: Mapping[str, str]) -> None:
    """Raise InvalidInput for a spec that contradicts itself or the current settings."""
    if not re.fullmatch(catalog.TENANT, spec.name):
        raise InvalidInput(f"{spec.name!r} is not a valid name of a tenant.", "Use a-z, 0-9 and -, such as acme.")
    if any(name.startswith(f"{REMOVED}{spec.name}/") for name in values):
        raise InvalidInput(f"{spec.name} was removed.", f"Restore it: mailroom tenant restore {spec.name}")
    for option, text in (("--from", spec.from_), ("--reply-to", spec.reply_to)):
        try:
            if text:
                Mailbox.parse(text)
        except ValueError as error:
            raise InvalidInput(f"{option} is {error}.") from error
    if not spec.from_ and not _exists(spec, values):
        raise InvalidInput("A new tenant needs --from.", 'Such as --from "Acme <no-reply@auth.example.com>".')
    if spec.name == DEFAULT and spec.purpose == "auth" and "from" in spec.unset:
        raise InvalidInput("Every tenant inherits the from-address of `default`: it can be changed, but not removed.")
    for name in spec.providers:
        if not re.fullmatch(catalog.ACCOUNT, name):
            raise InvalidInput(f"There is no provider {name!r}.", f"Use {', '.join(NAMES)}.")
    if stray := [name for name in spec.own if name not in spec.providers]:
        raise InvalidInput(
            f"--own {stray[0]} is not in --providers.", f"Add it: --providers {','.join((*spec.providers, *stray))}"
        )
    if spec.own and spec.name == DEFAULT:
        raise InvalidInput("Tenant `default` always uses the shared accounts.", "Leave --own out.")
    for key in spec.settings:
        provider, _, setting = key.partition(".")
        parameter = f"providers/{provider}.{spec.name}/{setting}"
        kind = catalog.find(parameter)
        if provider not in spec.own or kind is None:
            raise InvalidInput(
                f"--set {key} is not a setting of an --own provider.", "Such as --own smtp --set smtp.host=…"
            )
        if kind.is_secret:
            raise InvalidInput(
                "A secret on the command line stays in your shell's history.", f"mailroom secrets set {parameter}"
            )


def _exists(spec: TenantSpec, values: Mapping[str, str]) -> bool:
    names = (f"senders/{spec.name}/{spec.purpose}", f"senders/{spec.name}/auth", f"brands/{spec.name}")
    return any(name in values for name in names)


def _require_accounts(spec: TenantSpec, values: Mapping[str, str]) -> None:
    for account in spec.chain:
        if catalog.split_account(account)[1] != spec.name:
            continue
        if fault := catalog.account_fault(account, account_values(values, account)):
            raise InvalidInput(
                f"The account {account} is not complete: {fault}.", "Set it with `mailroom secrets set`."
            )


def account_values(values: Mapping[str, str], account: str) -> dict[str, str]:
    """Return the settings of a provider account."""
    prefix = f"providers/{account}/"
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def missing_secrets(spec: TenantSpec, values: Mapping[str, str]) -> list[str]:
    """Name the secrets that a tenant's dedicated accounts require and that are not set."""
    missing = []
    for provider in spec.own:
        keys = [key for key in spec_of(provider).required if f"{provider}.{key}" not in spec.settings]
        has_token = f"providers/smtp.{spec.name}/oauth" in values
        if provider == "smtp" and "smtp.username" in spec.settings and not has_token:
            keys.append("password")
        names = [f"providers/{provider}.{spec.name}/{key}" for key in keys]
        missing += [name for name in names if name not in values and (kind := catalog.find(name)) and kind.is_secret]
    return missing


def remove(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Move a tenant's parameters below `removed/`: copy them, then delete the originals."""
    names = names_of(tenant, values)
    store.write({f"{REMOVED}{tenant}/{name}": values[name] for name in names})
    store.delete(names)
    return names


def restore(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Move the parameters of a removed tenant back."""
    prefix = f"{REMOVED}{tenant}/"
    removed = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    if not removed:
        raise InvalidInput(f"There is no removed tenant {tenant}.", "`mailroom tenant list` shows all.")
    if taken := [name for name, value in removed.items() if values.get(name, value) != value]:
        raise InvalidInput(
            f"{tenant} exists: {taken[0]} is set.",
            f"Remove it first, or purge the removed one: mailroom tenant purge {tenant}",
        )
    store.write(removed)
    store.delete([prefix + name for name in removed])
    return list(removed)


def purge(store: Parameters, tenant: str, values: Mapping[str, str]) -> list[str]:
    """Delete the parameters of a removed tenant."""
    names = [name for name in values if name.startswith(f"{REMOVED}{tenant}/")]
    store.delete(names)
    return names


def names_of(tenant: str, values: Mapping[str, str]) -> list[str]:
    """Return the names of a tenant's parameters; raise InvalidInput if it has none."""
    if tenant == DEFAULT:
        raise InvalidInput("Tenant `default` cannot be removed: every other tenant inherits from it.")
    # Senders come last: until then the tenant's mail is still sent as its own.
    names = sorted((name for name in values if belongs(name, tenant)), key=lambda name: name.startswith("senders/"))
    if not names:
        raise InvalidInput(f"There is no tenant {tenant}.", "`mailroom tenant list` shows all.")
    return names
