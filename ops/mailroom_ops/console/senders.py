"""The senders pages: each tenant's effective sender, and whether the domains it sends from are set up."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from mailroom.model.json_settings import MergedSettings, merge
from mailroom.model.parameter_names import brand_names, sender_names
from mailroom.settings import SHARED_TEST_SENDER
from mailroom_ops.console import brand, tenant_form, texts
from mailroom_ops.console.context import PageContext, form_values
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
CHECK_TIMEOUT_SECONDS = 20.0
MAX_CONCURRENT_CHECKS = 8
RESOLVER_VARIABLE = "MAILROOM_RESOLVER"  # the same as for the command


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    form, is_post = form_values(request), request.method == "POST"
    values = Parameters(context.environment).values()
    all_tenants = tenants.list_tenants(values)
    if not below:
        if is_post:
            return tenant_form.add(context, form, values)
        return tenant_form.show(context, form) if "add" in form else _list(context, values, all_tenants)
    tenant = next((tenant for tenant in all_tenants if tenant.name == below[0]), None)
    if tenant is None:
        return None
    match below[1:]:
        case []:
            return _tenant(context, values, tenant, with_check=is_post or "check" in form, verify=is_post)
        case ["brand", *rest] if not tenant.removed:
            return brand.answer(context, request, values, tenant.name, rest)
        case ["texts", *rest] if not tenant.removed:
            return texts.answer(context, request, values, tenant.name, rest)
    return None


@dataclass(frozen=True, slots=True)
class Value:
    """A setting as it is shown; `origin` is set where a tenant inherits it."""

    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class EffectiveSender:
    """The sender of a tenant and purpose, merged as the functions merge it."""

    purpose: str
    from_: Value
    reply_to: Value
    chain: Value
    is_own: bool
    fault: str = ""  # why no email can be sent


def _effective_sender(
    values: Mapping[str, str], tenant: str, purpose: str, default_chain: Sequence[str]
) -> EffectiveSender:
    merged = merge(sender_names(tenant, purpose), values)
    own_name = f"senders/{tenant}/{purpose}"
    chain = tenants.chain_of(values, tenant, purpose, default_chain)
    origin = _value(merged, "providers", tenant, purpose).origin or "stack default"
    has_own_chain = merged.origins.get("providers") == own_name
    chain_value = Value(", ".join(chain) or "none", "" if has_own_chain else origin)
    from_, fault = _value(merged, "from", tenant, purpose), ""
    if not from_.text and chain and catalog.split_account(chain[0])[0] == "resend":
        from_ = Value(SHARED_TEST_SENDER.address, "Resend’s test sender")
    elif not from_.text:
        from_, fault = Value("none"), "There is no from-address, so nothing is sent."
    is_own = own_name in merged.origins.values()
    return EffectiveSender(purpose, from_, _value(merged, "reply_to", tenant, purpose), chain_value, is_own, fault)


def _value(merged: MergedSettings, key: str, tenant: str, purpose: str) -> Value:
    text, origin = merged.values.get(key), merged.origins.get(key, "")
    descriptions = {"": "", f"senders/{tenant}/auth": "from auth", f"senders/{tenant}/{purpose}": ""}
    return Value(str(text or ""), descriptions.get(origin, "from default"))


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as a row of the list, or as a page."""

    tenant: Tenant
    brand: Value
    color: str
    senders: Sequence[EffectiveSender]
    faults: Sequence[str]


def _view(values: Mapping[str, str], tenant: Tenant, default_chain: Sequence[str], label: str) -> TenantView:
    settings = merge(brand_names(tenant.name), values).values
    color = str(settings.get("color", ""))
    senders = [_effective_sender(values, tenant.name, purpose, default_chain) for purpose in PURPOSES]
    faults = [_fault(name, reason, label) for name, reason in tenants.faults_of(values, tenant).items()]
    faults += sorted({sender.fault for sender in senders if sender.fault})
    swatch = f"#{color.removeprefix('#')}" if catalog.COLOR.fullmatch(color) else ""
    origin = "" if f"brands/{tenant.name}" in values else "from default"
    return TenantView(tenant, Value(str(settings.get("name", "")), origin), swatch, senders, faults)


def _fault(name: str, reason: str, label: str) -> str:
    if "/" not in name:
        return f"The account {name} is incomplete: {reason}. Set it with `mailroom secrets set --env {label}`."
    return f"{name} is malformed: {reason}. Set it again with `mailroom secrets set {name} --env {label}`."


def _list(context: PageContext, values: Mapping[str, str], all_tenants: Sequence[Tenant]) -> Response:
    chain, label = context.environment.chain, context.frame.label
    views = [_view(values, tenant, chain, label) for tenant in all_tenants if not tenant.removed]
    removed = [tenant.name for tenant in all_tenants if tenant.removed]
    return context.page("senders", {"views": views, "removed": removed})


# ---- one tenant ----


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A DNS record that has to be live, and its state."""

    record: Record
    state: str = "not checked"
    detail: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class DomainView:
    """A sending domain: its known records, and their states after a check."""

    name: str
    purposes: Sequence[str]
    accounts: Sequence[Finding]
    rows: Sequence[RecordRow]
    notes: Sequence[Finding] = ()

    @property
    def not_live(self) -> int:
        return sum(row.state != RecordStatus.LIVE for row in self.rows)

    @property
    def is_ready(self) -> bool:
        return not self.not_live and Level.FAILED not in {finding.level for finding in (*self.accounts, *self.notes)}

    @property
    def zone(self) -> str:
        return records.zone([row.record for row in self.rows])


DomainSetup = tuple[str, Sequence[str], Sequence[ChainAccount]]  # domain, purposes, accounts


def _tenant(
    context: PageContext, values: Mapping[str, str], tenant: Tenant, *, with_check: bool, verify: bool
) -> Response:
    default_chain = context.environment.chain
    own_domains = {} if tenant.removed else tenants.own_domains(values, tenant.name)
    setups = []
    for domain, purposes in own_domains.items():
        chain = tenants.chain_of(values, tenant.name, purposes[0], default_chain)
        setups.append((domain, purposes, sending.chain_accounts(context.environment, values, chain)))
    page_values = {
        "view": _view(values, tenant, default_chain, context.frame.label),
        "domains": list(_check(values, setups, verify=verify))
        if with_check
        else [_unchecked(*setup) for setup in setups],
        "checked_at": datetime.now(UTC) if with_check else None,
        "has_from": any(sender.get("from") for sender in tenant.senders.values()),
        "timeout_seconds": round(CHECK_TIMEOUT_SECONDS),
    }
    return context.page("sender", page_values)


def _unchecked(domain: str, purposes: Sequence[str], chain: Sequence[ChainAccount]) -> DomainView:
    findings = [
        warning(f"{account.account} {domain}", account.hint or "lists its records when it is checked")
        for account in chain
    ]
    return DomainView(domain, purposes, findings, [RecordRow(records.dmarc_record(domain))])


def _check(values: Mapping[str, str], setups: Sequence[DomainSetup], *, verify: bool) -> Iterator[DomainView]:
    """Check each domain in DNS and at its providers, all at the same time, within CHECK_TIMEOUT_SECONDS.

    With `verify`, the providers check a domain again whose records are live.
    """
    dns = Dns(os.environ.get(RESOLVER_VARIABLE, "").split())
    pool = ThreadPoolExecutor(MAX_CONCURRENT_CHECKS)
    reports = {
        (domain, account.account): pool.submit(sending.check_account, dns, domain, account, verify=verify)
        for domain, _, chain in setups
        for account in chain
    }
    policies = {domain: pool.submit(check_record, dns, records.dmarc_record(domain)) for domain, _, _ in setups}
    separation = pool.submit(_check_separation, dns, values, {domain for domain, _, _ in setups})
    futures: list[Future[Any]] = [*reports.values(), *policies.values(), separation]
    wait(futures, CHECK_TIMEOUT_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    for domain, purposes, chain in setups:
        late = failed(domain, f"did not answer within {CHECK_TIMEOUT_SECONDS:.0f} seconds", "Check again.")
        results = [_result(reports[domain, account.account], AccountReport(account.account, late)) for account in chain]
        rows = [_row(record, finding) for report in results for record, finding in report.records]
        rows.append(_row(records.dmarc_record(domain), _result(policies[domain], late)))
        notes = [report.alignment for report in results if report.alignment]
        notes += [finding for finding in _result(separation, []) if finding.subject.partition(" ")[2] == domain]
        accounts = [replace(report.state, subject=f"{report.account} {domain}") for report in results]
        yield DomainView(domain, purposes, accounts, rows, notes)


T = TypeVar("T")


def _result(future: Future[T], late: T) -> T:
    return future.result() if future.done() and not future.cancelled() else late


def _check_separation(dns: Dns, values: Mapping[str, str], domains: Set[str]) -> list[Finding]:
    """Check only the senders that use these domains: an environment may have hundreds."""
    senders = {name: value for name, value in values.items() if name.startswith("senders/")}
    using = {name: value for name, value in senders.items() if tenants.domain_of(tenants.from_of(value)) in domains}
    return list(check_separation(dns, using))


def _row(record: Record, finding: Finding) -> RecordRow:
    return RecordRow(record, status_of(finding), finding.state, finding.todo)
