"""A sending domain from end to end: registered with each provider of its chain, live in DNS, aligned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailroom_ops import catalog, dns_check, domains
from mailroom_ops.dns_client import Dns
from mailroom_ops.dns_records import Record, dmarc
from mailroom_ops.domains import Domain, Registrar, State
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, Level, failed, ok, warning
from mailroom_ops.problem import Problem
from mailroom_ops.tenants import account_values

__all__ = ["Place", "check", "places", "records_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """One account of a chain, and who registers domains there; nobody where that is done by hand."""

    account: str
    registrar: Registrar | None
    hint: str = ""


def places(environment: Environment, values: Mapping[str, str], chain: Sequence[str], key: str = "") -> list[Place]:
    """Return where a domain has to be known for a chain to send from it."""
    found = []
    for account in chain:
        provider, owner = catalog.split(account)
        held = account_values(values, account)
        if fault := catalog.account_fault(
            account, {**held, **({"api_key": key} if key and provider == "resend" else {})}
        ):
            found.append(Place(account, None, f"is not set up: {fault}"))
        elif page := domains.BY_HAND.get(provider):
            found.append(Place(account, None, f"add the domain at {page}, which shows the records it needs"))
        elif provider in ("smtp", "http"):
            whose = f"{owner}'s own" if owner else "your own"
            found.append(Place(account, None, f"{whose}: its operator tells what SPF and DKIM need"))
        else:
            found.append(Place(account, domains.load(account, environment, held, key)))
    return found


def records_of(domain: str, known: Sequence[Domain]) -> list[Record]:
    """Return all that the DNS of a domain has to hold."""
    return [record for one in known for record in one.records] + [dmarc(domain)]


def check(dns: Dns, domain: str, where: Sequence[Place], *, ask: bool = False) -> Iterator[Finding]:
    """Look at one domain; with `ask`, have the providers look again."""
    policy = dns_check.policy_of(dns, domain)
    for place in where:
        if place.registrar is None:
            yield warning(f"{place.account} {domain}", place.hint)
            continue
        try:
            known = place.registrar.find(domain)
            if known is None:
                todo = "Register it: mailroom tenant add"
                yield failed(f"{place.account} {domain}", "is not registered there", todo)
                continue
            found = list(dns_check.check_records(dns, known.records))
            if ask and known.state is not State.VERIFIED and all(one.level is not Level.FAILED for one in found):
                known = place.registrar.verify(known)
        except Problem as problem:
            yield failed(f"{place.account} {domain}", problem.sentence, problem.todo)
            continue
        yield _state(known, domain, live=all(one.level is Level.OK for one in found))
        yield from found
        if policy.where and not policy.fault and not policy.problem:
            yield dns_check.alignment(policy, domain, signs_as=known.name, return_path=known.return_path)
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
