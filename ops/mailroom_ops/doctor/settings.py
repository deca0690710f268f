"""Whether every setting is there, well formed, and kept as it should be."""

from collections.abc import Iterator, Mapping

from mailroom.model.json_settings import brand_names, merge
from mailroom.model.mailbox import Mailbox
from mailroom.settings import SHARED_TEST_SENDER
from mailroom_ops.doctor import Case
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.settings import catalog, tenants

__all__ = ["chains", "check"]

HOOK = "webhooks/logto/authorization"


def chains(case: Case) -> dict[str, list[str]]:
    """Return each provider account that somebody's mail leaves through, with the domains it leaves from."""
    found: dict[str, list[str]] = {}
    known = {(tenant.name, purpose) for tenant in tenants.all_of(case.values) for purpose in tenant.senders}
    for tenant, purpose in sorted({(tenants.DEFAULT, "auth"), *known}):
        sender = case.values.get(f"senders/{tenant}/{purpose}", "{}")
        domain = tenants.domain_of(tenants.from_of(sender))
        for account in tenants.chain_of(case.values, tenant, purpose, case.environment.chain):
            found.setdefault(account, [])
            if domain and domain not in found[account]:
                found[account].append(domain)
    return found


def check(case: Case) -> Iterator[Finding]:
    values = case.values
    faulty = 0
    for name, parameter in case.parameters.items():
        if name.startswith("removed/"):
            continue
        for found in _one(case, name, parameter.value, parameter.is_encrypted):
            faulty += 1
            yield found
    if values and not faulty:
        yield ok("parameters", f"{len(values)} are set, and well formed")
    yield from _doors(case)
    yield from _senders(case)


def _one(case: Case, name: str, value: str, is_encrypted: bool) -> Iterator[Finding]:
    setting = catalog.find(name)
    label = case.environment.label
    if setting is None:
        yield warning(name, "is set, but nothing reads it", "A misspelt name? `mailroom secrets names` lists them.")
        return
    if fault := catalog.fault(name, value):
        yield failed(name, f"is malformed: {fault}", f"mailroom secrets set {name} --env {label}")
    if setting.is_secret and not is_encrypted:
        yield failed(name, "is stored in the clear", "Remove it with `mailroom secrets remove`, and set it again.")
    if setting.many and setting.is_secret and len(catalog.values_of(value)) > 1:
        since = case.parameters[name].changed
        todo = f"Once the new one is in use: mailroom secrets rotate {name} --finish --env {label}"
        yield warning(name, f"is being rotated since {since:%Y-%m-%d}", todo)


def _doors(case: Case) -> Iterator[Finding]:
    label = case.environment.label
    if HOOK not in case.values:
        keys = any(name.startswith("api/keys/") for name in case.values)
        todo = f"mailroom secrets set {HOOK} --generate --out logto.txt --env {label}"
        why = "is not set: Logto cannot hand over mail" + (", an auth service with an API key can" if keys else "")
        yield warning(HOOK, why, todo) if keys else failed(HOOK, why, todo)


def _senders(case: Case) -> Iterator[Finding]:
    values, environment = case.values, case.environment
    configured = set()
    for account in chains(case):
        provider = catalog.split(account)[0]
        if fault := catalog.account_fault(account, tenants.account_values(values, account)):
            yield warning(
                f"providers/{account}",
                f"is in a chain and not usable: {fault}",
                f"mailroom secrets set … --env {environment.label}",
            )
        elif provider == "ses" and not environment.is_local and "ses" not in environment.chain:
            todo = "Add it to the parameter Providers and deploy: only then may the functions send through SES."
            yield failed(f"providers/{account}", "is in a chain, and the stack was deployed without ses", todo)
        else:
            configured.add(account)
    if not configured:
        yield failed(
            "providers",
            "none is set up: nothing is sent (email_not_configured)",
            "mailroom secrets set providers/resend/api_key",
        )
    if not tenants.from_of(values.get("senders/default/auth", "{}")):
        first = next(iter(environment.chain), "resend")
        says = f"has no from-address: mail leaves from {SHARED_TEST_SENDER}, which looks like spam"
        todo = "mailroom tenant add default --from …"
        if catalog.split(first)[0] == "resend":
            yield warning("senders/default/auth", says, todo)
        else:
            yield failed("senders/default/auth", "has no from-address", todo)
    yield from _unnamed_senders(values)


def _unnamed_senders(values: Mapping[str, str]) -> Iterator[Finding]:
    """Warn about mail that an inbox would show by address or, with Logto, by an application's name."""
    for tenant in tenants.all_of(values):
        if tenant.removed or merge(brand_names(tenant.name), values).values.get("name"):
            continue
        for purpose, sender in tenant.senders.items():
            from_ = str(sender.get("from", ""))
            if tenants.domain_of(from_) and not Mailbox.parse(from_).name:
                yield warning(
                    f"senders/{tenant.name}/{purpose}",
                    f"has no display name: inboxes show {from_}, or the name of a Logto application",
                    f"mailroom tenant add {tenant.name} --purpose {purpose} --from 'Name <{from_}>'",
                )
