"""Check that every setting exists, is well formed, and is stored as its kind requires."""

from collections.abc import Iterator, Mapping

from mailroom.model.json_settings import merge
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import brand_names
from mailroom.settings import SHARED_TEST_SENDER
from mailroom_ops.doctor import Context
from mailroom_ops.errors import ServiceError
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.settings import catalog, source_keys, tenants
from mailroom_ops.settings.changes import same

__all__ = ["accounts_in_use", "check"]

WEBHOOK_SECRET = "webhooks/logto/authorization"


def accounts_in_use(context: Context) -> dict[str, list[str]]:
    """Return the provider accounts of all chains, each with the domains that it sends from."""
    accounts: dict[str, list[str]] = {}
    senders = {(tenant.name, purpose) for tenant in tenants.list_tenants(context.values) for purpose in tenant.senders}
    for tenant, purpose in sorted({(tenants.DEFAULT, "auth"), *senders}):
        sender = context.values.get(f"senders/{tenant}/{purpose}", "{}")
        domain = tenants.domain_of(tenants.from_of(sender))
        for account in tenants.chain_of(context.values, tenant, purpose, context.environment.chain):
            accounts.setdefault(account, [])
            if domain and domain not in accounts[account]:
                accounts[account].append(domain)
    return accounts


def check(context: Context) -> Iterator[Finding]:
    values = context.values
    has_findings = False
    for name, parameter in context.parameters.items():
        if name.startswith("removed/"):
            continue
        for finding in _check_parameter(context, name, parameter.value, parameter.is_encrypted):
            has_findings = True
            yield finding
    if values and not has_findings:
        yield ok("parameters", f"{len(values)} are set and well formed")
    yield from _check_webhook_secret(context)
    yield from _check_source_keys(context)
    yield from _check_senders(context)


def _check_parameter(context: Context, name: str, value: str, is_encrypted: bool) -> Iterator[Finding]:
    setting = catalog.find(name)
    label = context.environment.label
    if setting is None:
        yield warning(name, "is set, but nothing reads it", "Check the spelling: `mailroom secrets names` lists all.")
        return
    if fault := catalog.fault(name, value):
        yield failed(name, f"is malformed: {fault}", f"mailroom secrets set {name} --env {label}")
    if setting.is_secret and not is_encrypted:
        yield failed(
            name, "is stored without encryption", "Remove it with `mailroom secrets remove`, and set it again."
        )
    if setting.is_rotatable and setting.is_secret and len(catalog.values_of(value)) > 1:
        since = context.parameters[name].changed
        todo = f"Once the new value is in use: mailroom secrets rotate {name} --finish --env {label}"
        yield warning(name, f"has been in rotation since {since:%Y-%m-%d}", todo)


def _check_webhook_secret(context: Context) -> Iterator[Finding]:
    if WEBHOOK_SECRET in context.values:
        return
    todo = f"mailroom secrets set {WEBHOOK_SECRET} --generate --out logto.txt --env {context.environment.label}"
    problem = "is not set: Logto cannot send"
    if any(name.startswith("webhooks/") for name in context.values):
        yield warning(WEBHOOK_SECRET, f"{problem}, another auth server can", todo)
    elif any(name.startswith("api/keys/") for name in context.values):
        yield warning(WEBHOOK_SECRET, f"{problem}, an auth service with an API key can", todo)
    else:
        yield failed(WEBHOOK_SECRET, problem, todo)


def _check_source_keys(context: Context) -> Iterator[Finding]:
    """Compare the public keys of auth servers with those that they publish now."""
    todo = f"mailroom sources refresh-keys --env {context.environment.label}"
    # The local stack's auth servers are made up: their addresses are, or might be, somebody's.
    for keys in source_keys.key_sets({} if context.environment.is_local else context.values):
        try:
            published = source_keys.fetch(keys.url)
        except ServiceError as error:
            yield warning(keys.parameter, f"could not be compared: {error}", "Check the settings of this source.")
            continue
        if not keys.current:
            yield failed(keys.parameter, "is not set, so this auth server cannot send", todo)
        elif not same(keys.current, published):
            yield warning(keys.parameter, f"differs from the keys that {keys.url} publishes", f"Run it daily: {todo}")


def _check_senders(context: Context) -> Iterator[Finding]:
    values, environment = context.values, context.environment
    usable = set()
    for account in accounts_in_use(context):
        subject = f"providers/{account}"
        provider = catalog.split_account(account)[0]
        if fault := catalog.account_fault(account, tenants.account_values(values, account)):
            problem = f"is in a chain and not usable: {fault}"
            yield warning(subject, problem, f"mailroom secrets set … --env {environment.label}")
        elif provider == "ses" and not environment.is_local and "ses" not in environment.chain:
            todo = "Add it to the parameter Providers and deploy, so that the functions may send through SES."
            yield failed(subject, "is in a chain, and the stack was deployed without ses", todo)
        else:
            usable.add(account)
    if not usable:
        problem = "none is set up: nothing is sent (email_not_configured)"
        yield failed("providers", problem, "mailroom secrets set providers/resend/api_key")
    if not tenants.from_of(values.get("senders/default/auth", "{}")):
        yield _missing_from_address(environment.chain)
    yield from _check_display_names(values)


def _missing_from_address(chain: tuple[str, ...]) -> Finding:
    subject, todo = "senders/default/auth", "mailroom tenant add default --from …"
    if catalog.split_account(next(iter(chain), "resend"))[0] != "resend":
        return failed(subject, "has no from-address", todo)
    problem = f"has no from-address: mail is sent from {SHARED_TEST_SENDER}, which looks like spam"
    return warning(subject, problem, todo)


def _check_display_names(values: Mapping[str, str]) -> Iterator[Finding]:
    """Warn about mail that an inbox would show by address or, with Logto, by an application's name."""
    for tenant in tenants.list_tenants(values):
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
