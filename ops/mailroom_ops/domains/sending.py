"""Check a sending domain from end to end: registered with every provider of its chain, live in DNS, aligned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailroom.providers import spec_of
from mailroom_ops import domains
from mailroom_ops.domains.dmarc import check_alignment, check_dmarc, discover_policy
from mailroom_ops.domains.dns import Dns, DnsError
from mailroom_ops.domains.dns_check import check_record
from mailroom_ops.domains.records import Record, dmarc_record
from mailroom_ops.domains.registrar import Domain, Registrar, State
from mailroom_ops.environment import Environment
from mailroom_ops.errors import OperatorError
from mailroom_ops.finding import Finding, Level, failed, ok, warning
from mailroom_ops.settings import catalog
from mailroom_ops.settings.tenants import account_values

__all__ = [
    "AccountReport",
    "ChainAccount",
    "chain_accounts",
    "check_account",
    "check_domain",
    "register",
    "required_records",
]


@dataclass(frozen=True, slots=True)
class ChainAccount:
    """A provider account of a chain; without a registrar, `hint` is what to do by hand."""

    account: str
    registrar: Registrar | None
    hint: str = ""


def chain_accounts(
    environment: Environment, values: Mapping[str, str], chain: Sequence[str], key: str = ""
) -> list[ChainAccount]:
    """Return the accounts with which a domain must be registered for a chain to send from it."""
    accounts = []
    for account in chain:
        provider, owner = catalog.split_account(account)
        settings = account_values(values, account)
        override = {"api_key": key} if key and provider == "resend" else {}
        if fault := catalog.account_fault(account, {**settings, **override}):
            accounts.append(ChainAccount(account, None, f"is not set up: {fault}"))
        elif registrar := domains.load(account, environment, settings, key):
            accounts.append(ChainAccount(account, registrar))
        elif page := spec_of(provider).domains_page:
            accounts.append(ChainAccount(account, None, f"add the domain at {page}, which shows the required records"))
        else:
            server = f"is the server of {owner}" if owner else "is your own server"
            accounts.append(ChainAccount(account, None, f"{server}: ask its operator for the SPF and DKIM records"))
    return accounts


def register(
    environment: Environment, values: Mapping[str, str], domain: str, chain: Sequence[str], key: str = ""
) -> dict[str, Domain | str]:
    """Register a domain with each account of a chain; return its state there, or a hint where that cannot be done."""
    return {
        place.account: place.registrar.register(domain) if place.registrar else place.hint
        for place in chain_accounts(environment, values, chain, key)
    }


def required_records(domain: str, registrations: Sequence[Domain]) -> list[Record]:
    """Return all records that the DNS of a domain must contain."""
    return [record for registration in registrations for record in registration.records] + [dmarc_record(domain)]


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The findings for a domain at one account: its registration, its records and their alignment."""

    account: str
    state: Finding
    records: tuple[tuple[Record, Finding], ...] = ()
    alignment: Finding | None = None


def check_account(dns: Dns, domain: str, account: ChainAccount, *, verify: bool = False) -> AccountReport:
    """Check a domain at one account; with `verify`, have the provider check DNS again once all records are live."""
    subject = f"{account.account} {domain}"
    if account.registrar is None:
        return AccountReport(account.account, warning(subject, account.hint))
    try:
        registration = account.registrar.find(domain)
        if registration is None:
            finding = failed(subject, "is not registered there", "Register it: mailroom tenant add")
            return AccountReport(account.account, finding)
        records = tuple((record, check_record(dns, record)) for record in registration.records)
        levels = {finding.level for _, finding in records}
        if verify and registration.state is not State.VERIFIED and Level.FAILED not in levels:
            registration = account.registrar.verify(registration)
    except OperatorError as error:
        return AccountReport(account.account, failed(subject, error.sentence, error.todo))
    state = _check_state(registration, domain, is_live=levels <= {Level.OK})
    return AccountReport(account.account, state, records, _check_alignment(dns, domain, registration))


def check_domain(dns: Dns, domain: str, accounts: Sequence[ChainAccount], *, verify: bool = False) -> Iterator[Finding]:
    """Check one domain at all accounts of a chain, and its DMARC policy."""
    for account in accounts:
        report = check_account(dns, domain, account, verify=verify)
        yield report.state
        yield from (finding for _, finding in report.records)
        if report.alignment:
            yield report.alignment
    yield check_dmarc(dns, domain)


def _check_alignment(dns: Dns, domain: str, registration: Domain) -> Finding | None:
    """Return the finding on alignment; None without a policy, because then receivers do not apply DMARC."""
    try:
        policy = discover_policy(dns, domain)
    except DnsError:
        return None  # the finding on the DMARC policy reports it
    if not policy.is_applied:
        return None
    return check_alignment(dns, policy, domain, signing_domain=registration.name, return_path=registration.return_path)


def _check_state(registration: Domain, domain: str, *, is_live: bool) -> Finding:
    subject = f"{registration.account} {domain}"
    if registration.state is State.VERIFIED and registration.has_tracking:
        todo = "Turn open and click tracking off there: rewritten links in auth mail look like phishing."
        return warning(subject, "is verified, and tracks opens or clicks", todo)
    if registration.state is State.VERIFIED:
        return ok(
            subject, "is verified" if registration.name == domain else f"is verified as part of {registration.name}"
        )
    if is_live:
        todo = "DNS is live; the provider checks it again by itself."
        return failed(subject, f"is not verified yet: {registration.status}", todo)
    todo = "Add the records below, then: mailroom tenant verify"
    return failed(subject, f"is not verified: {registration.status}", todo)
