"""A sending domain from end to end: registered with each provider of its chain, live in DNS, aligned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailroom_ops import domains
from mailroom_ops.domains import dns_check
from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.records import Record, dmarc
from mailroom_ops.domains.registrar import Domain, Registrar, State
from mailroom_ops.environment import Environment
from mailroom_ops.errors import OperatorError
from mailroom_ops.finding import Finding, Level, failed, ok, warning
from mailroom_ops.settings import catalog
from mailroom_ops.settings.tenants import account_values

__all__ = ["DomainRegistration", "Look", "check", "look", "places", "records_of"]


@dataclass(frozen=True, slots=True)
class DomainRegistration:
    """One account of a chain, and who registers domains there; nobody where that is done by hand."""

    account: str
    registrar: Registrar | None
    hint: str = ""


def places(
    environment: Environment, values: Mapping[str, str], chain: Sequence[str], key: str = ""
) -> list[DomainRegistration]:
    """Return where a domain has to be known for a chain to send from it."""
    found = []
    for account in chain:
        provider, owner = catalog.split(account)
        held = account_values(values, account)
        if fault := catalog.account_fault(
            account, {**held, **({"api_key": key} if key and provider == "resend" else {})}
        ):
            found.append(DomainRegistration(account, None, f"is not set up: {fault}"))
        elif page := domains.BY_HAND.get(provider):
            found.append(
                DomainRegistration(account, None, f"add the domain at {page}, which shows the records it needs")
            )
        elif provider in ("smtp", "http"):
            whose = f"{owner}'s own" if owner else "your own"
            found.append(DomainRegistration(account, None, f"{whose}: its operator tells what SPF and DKIM need"))
        else:
            found.append(DomainRegistration(account, domains.load(account, environment, held, key)))
    return found


def records_of(domain: str, known: Sequence[Domain]) -> list[Record]:
    """Return all that the DNS of a domain has to hold."""
    return [record for one in known for record in one.records] + [dmarc(domain)]


@dataclass(frozen=True, slots=True)
class Look:
    """How a domain stands at one account, and how each record stands that this one wants."""

    account: str
    state: Finding
    records: tuple[tuple[Record, Finding], ...] = ()
    alignment: Finding | None = None


def look(dns: Dns, domain: str, place: DomainRegistration, *, ask: bool = False) -> Look:
    """Look at one domain for one account; with `ask`, have its provider look again."""
    subject = f"{place.account} {domain}"
    if place.registrar is None:
        return Look(place.account, warning(subject, place.hint))
    try:
        known = place.registrar.find(domain)
        if known is None:
            return Look(place.account, failed(subject, "is not registered there", "Register it: mailroom tenant add"))
        found = tuple((record, dns_check.check_record(dns, record)) for record in known.records)
        levels = {one.level for _, one in found}
        if ask and known.state is not State.VERIFIED and Level.FAILED not in levels:
            known = place.registrar.verify(known)
    except OperatorError as problem:
        return Look(place.account, failed(subject, problem.sentence, problem.todo))
    policy = dns_check.policy_of(dns, domain)
    aligned = None
    if policy.where and not policy.fault and not policy.problem:
        aligned = dns_check.alignment(policy, domain, signs_as=known.name, return_path=known.return_path)
    return Look(place.account, _state(known, domain, live=levels <= {Level.OK}), found, aligned)


def check(dns: Dns, domain: str, where: Sequence[DomainRegistration], *, ask: bool = False) -> Iterator[Finding]:
    """Look at one domain for a whole chain, line by line."""
    for place in where:
        found = look(dns, domain, place, ask=ask)
        yield found.state
        yield from (one for _, one in found.records)
        if found.alignment:
            yield found.alignment
    yield dns_check.check_dmarc(dns, domain)


def _state(known: Domain, domain: str, *, live: bool) -> Finding:
    subject = f"{known.account} {domain}"
    if known.state is State.VERIFIED and known.tracks:
        todo = "Turn open and click tracking off there: rewritten links in auth mail look like phishing."
        return warning(subject, "is verified, and tracks readers", todo)
    if known.state is State.VERIFIED:
        return ok(subject, "is verified" if known.name == domain else f"is verified as part of {known.name}")
    if live:
        return failed(subject, f"is not verified yet: {known.says}", "DNS is live; the provider looks again by itself.")
    return failed(subject, f"is not verified: {known.says}", "Add the records below, then: mailroom tenant verify")
