"""Senders: who each tenant's mail is from, and whether the domains it is sent from are set up."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from mailroom.model.json_settings import MergedSettings, merge
from mailroom.model.parameter_names import brand_names, sender_names
from mailroom.settings import SHARED_TEST_SENDER
from mailroom_ops.console.context import PageContext, fields
from mailroom_ops.domains import records, sending
from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.dns_check import RecordStatus, check_record, status_of
from mailroom_ops.domains.records import Record
from mailroom_ops.domains.sending import AccountReport, ChainAccount
from mailroom_ops.domains.separation import check_separation
from mailroom_ops.finding import Finding, Level, failed, warning
from mailroom_ops.settings import catalog, tenants
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.tenants import Tenant
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

PURPOSES = ("auth", "notification")
PATIENCE = 20.0  # seconds for a whole look at DNS and the providers
AT_ONCE = 8
RESOLVER = "MAILROOM_RESOLVER"  # as the command has it


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if request.method == "POST" or len(below) > 1:
        return None
    values = Parameters(context.environment).values()
    known = tenants.all_of(values)
    if not below:
        return _list(context, values, known)
    found = next((tenant for tenant in known if tenant.name == below[0]), None)
    return _tenant(context, values, found, wants_look="check" in fields(request)) if found else None


@dataclass(frozen=True, slots=True)
class Said:
    """One thing a sender says; `whose` where it is not its own."""

    text: str
    whose: str = ""


@dataclass(frozen=True, slots=True)
class Speaks:
    """The sender of a tenant and purpose, completed as the functions do it."""

    purpose: str
    from_: Said
    reply_to: Said
    chain: Said
    is_own: bool
    fault: str = ""  # no mail leaves


def _speaks(values: Mapping[str, str], tenant: str, purpose: str, fallback: Sequence[str]) -> Speaks:
    said = merge(sender_names(tenant, purpose), values)
    chain = tenants.chain_of(values, tenant, purpose, fallback)
    through = Said(", ".join(chain) or "nobody", _said(said, "providers", tenant, purpose).whose or "as the stack")
    if said.origins.get("providers") == f"senders/{tenant}/{purpose}":
        through = Said(through.text)
    from_, fault = _said(said, "from", tenant, purpose), ""
    if not from_.text and chain and catalog.split(chain[0])[0] == "resend":
        from_ = Said(SHARED_TEST_SENDER.address, "Resend’s own, for tests")
    elif not from_.text:
        from_, fault = Said("nobody"), "It has no from-address, so nothing is sent."
    is_own = f"senders/{tenant}/{purpose}" in said.origins.values()
    return Speaks(purpose, from_, _said(said, "reply_to", tenant, purpose), through, is_own, fault)


def _said(said: MergedSettings, key: str, tenant: str, purpose: str) -> Said:
    text, where = said.values.get(key), said.origins.get(key, "")
    others = {"": "", f"senders/{tenant}/auth": "as auth", f"senders/{tenant}/{purpose}": ""}
    return Said(str(text or ""), others.get(where, "as default"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A tenant as a line of the list, or on a page of its own."""

    tenant: Tenant
    brand: Said
    color: str
    speaks: Sequence[Speaks]
    faults: Sequence[str]


def _shown(values: Mapping[str, str], tenant: Tenant, fallback: Sequence[str], label: str) -> Shown:
    brand = merge(brand_names(tenant.name), values).values
    color = str(brand.get("color", ""))
    speaks = [_speaks(values, tenant.name, purpose, fallback) for purpose in PURPOSES]
    faults = [_fault(name, why, label) for name, why in tenants.faults_of(values, tenant).items()]
    faults += sorted({one.fault for one in speaks if one.fault})
    swatch = f"#{color.removeprefix('#')}" if catalog.COLOR.fullmatch(color) else ""
    whose = "" if f"brands/{tenant.name}" in values else "as default"
    return Shown(tenant, Said(str(brand.get("name", "")), whose), swatch, speaks, faults)


def _fault(name: str, why: str, label: str) -> str:
    if "/" not in name:
        return f"The account {name} is not complete: {why}. `mailroom secrets set --env {label}` sets it."
    return f"{name} is malformed: {why}. Set it again: `mailroom secrets set {name} --env {label}`"


def _list(context: PageContext, values: Mapping[str, str], known: Sequence[Tenant]) -> Response:
    chain = context.environment.chain
    shown = [_shown(values, tenant, chain, context.frame.label) for tenant in known if not tenant.removed]
    return context.page("senders", {"shown": shown, "aside": [tenant.name for tenant in known if tenant.removed]})


# ---- one tenant ----


@dataclass(frozen=True, slots=True)
class Line:
    """A record that has to be live, and how it stands."""

    record: Record
    standing: str = "not asked"
    says: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A sending domain: what is known without asking anybody, or what a look has found."""

    name: str
    purposes: Sequence[str]
    accounts: Sequence[Finding]
    lines: Sequence[Line]
    notes: Sequence[Finding] = ()

    @property
    def not_live(self) -> int:
        return sum(line.standing != RecordStatus.LIVE for line in self.lines)

    @property
    def is_ready(self) -> bool:
        return not self.not_live and Level.FAILED not in {one.level for one in (*self.accounts, *self.notes)}

    @property
    def zone(self) -> str:
        return records.zone([line.record for line in self.lines])


def _tenant(context: PageContext, values: Mapping[str, str], tenant: Tenant, *, wants_look: bool) -> Response:
    fallback = context.environment.chain
    own = {} if tenant.removed else tenants.own_domains(values, tenant.name)
    wanted = []
    for domain, purposes in own.items():
        chain = tenants.chain_of(values, tenant.name, purposes[0], fallback)
        wanted.append((domain, purposes, sending.chain_accounts(context.environment, values, chain)))
    shown = {
        "one": _shown(values, tenant, fallback, context.frame.label),
        "domains": list(_look(values, wanted)) if wants_look else [_unasked(*one) for one in wanted],
        "looked_at": datetime.now(UTC) if wants_look else None,
        "has_from": any(sender.get("from") for sender in tenant.senders.values()),
        "patience": round(PATIENCE),
    }
    return context.page("sender", shown)


Wanted = tuple[str, Sequence[str], Sequence[ChainAccount]]


def _unasked(domain: str, purposes: Sequence[str], places: Sequence[ChainAccount]) -> Domain:
    accounts = [
        warning(f"{place.account} {domain}", place.hint or "tells when asked which records it wants")
        for place in places
    ]
    return Domain(domain, purposes, accounts, [Line(records.dmarc_record(domain))])


def _look(values: Mapping[str, str], wanted: Sequence[Wanted]) -> Iterator[Domain]:
    """Ask DNS and the providers about each domain, all at the same time, and for no longer than our patience."""
    dns = Dns(os.environ.get(RESOLVER, "").split())
    pool = ThreadPoolExecutor(AT_ONCE)
    looks = {
        (domain, place.account): pool.submit(sending.check_account, dns, domain, place)
        for domain, _, places in wanted
        for place in places
    }
    policies = {domain: pool.submit(check_record, dns, records.dmarc_record(domain)) for domain, _, _ in wanted}
    apart = pool.submit(_apart, dns, values, {domain for domain, _, _ in wanted})
    asked: list[Future[Any]] = [*looks.values(), *policies.values(), apart]
    wait(asked, PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    for domain, purposes, places in wanted:
        late = failed(domain, f"did not answer within {PATIENCE:.0f} seconds", "Look again.")
        found = [_result(looks[domain, place.account], AccountReport(place.account, late)) for place in places]
        lines = [_line(record, one) for look in found for record, one in look.records]
        lines.append(_line(records.dmarc_record(domain), _result(policies[domain], late)))
        notes = [look.alignment for look in found if look.alignment]
        notes += [one for one in _result(apart, []) if one.subject.partition(" ")[2] == domain]
        accounts = [replace(look.state, subject=f"{look.account} {domain}") for look in found]
        yield Domain(domain, purposes, accounts, lines, notes)


T = TypeVar("T")


def _result(future: Future[T], late: T) -> T:
    return future.result() if future.done() and not future.cancelled() else late


def _apart(dns: Dns, values: Mapping[str, str], domains: Set[str]) -> list[Finding]:
    """Ask about these domains only: there may be hundreds."""
    senders = {name: value for name, value in values.items() if name.startswith("senders/")}
    using = {name: value for name, value in senders.items() if tenants.domain_of(tenants.from_of(value)) in domains}
    return list(check_separation(dns, using))


def _line(record: Record, found: Finding) -> Line:
    return Line(record, status_of(found), found.says, found.todo)
