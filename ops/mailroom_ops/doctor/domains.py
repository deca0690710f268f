"""Whether the domains that mail leaves from are registered, live in DNS, aligned, and kept apart."""

from collections.abc import Iterator

from mailroom_ops.doctor import Case
from mailroom_ops.domains import sending
from mailroom_ops.domains.separation import check_separation
from mailroom_ops.finding import Finding, ok
from mailroom_ops.settings import tenants

__all__ = ["check"]


def check(case: Case) -> Iterator[Finding]:
    if not case.looks_at_dns:
        yield ok("DNS", "is not looked at: local mail stays on this machine; --resolver would look")
        return
    for domain, uses in tenants.domains_of(case.values).items():
        tenant, purpose = uses[0]
        chain = tenants.chain_of(case.values, tenant, purpose, case.environment.chain)
        yield from sending.check_domain(case.dns, domain, sending.chain_accounts(case.environment, case.values, chain))
    yield from check_separation(case.dns, case.values)
