"""Check the domains that mail is sent from: registered, live in DNS, aligned, and separate from other mail."""

from collections.abc import Iterator

from mailroom_ops.doctor import Context
from mailroom_ops.domains import sending
from mailroom_ops.domains.separation import check_separation
from mailroom_ops.finding import Finding, ok
from mailroom_ops.settings import tenants

__all__ = ["check"]


def check(context: Context) -> Iterator[Finding]:
    if not context.check_dns:
        yield ok("DNS", "is not checked: local mail stays on this machine (--resolver enables the check)")
        return
    for domain, uses in tenants.domains_of(context.values).items():
        tenant, purpose = uses[0]
        chain = tenants.chain_of(context.values, tenant, purpose, context.environment.chain)
        accounts = sending.chain_accounts(context.environment, context.values, chain)
        yield from sending.check_domain(context.dns, domain, accounts)
    yield from check_separation(context.dns, context.values)
