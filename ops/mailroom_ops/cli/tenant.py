"""`mailroom tenant …`"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli import tenant_add, tenant_remove
from mailroom_ops.cli.options import Group, as_json, in_environment, key_file, read_key, resolver
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.finding import Finding

RETRY_SECONDS = 15.0


@click.group(
    cls=Group,
    examples=(
        ("add a tenant, and print its DNS records", "mailroom tenant add acme --from 'Acme <hi@auth.acme.com>'"),
        ("check which of its records are live", "mailroom tenant verify acme"),
    ),
)
def command() -> None:
    """Manage tenants: their senders, brands, domains and provider accounts."""


command.add_command(tenant_add.add)


@command.command(
    "verify",
    examples=(
        ("wait up to an hour until all records are live", "mailroom tenant verify acme --env staging --wait 60"),
    ),
)
@in_environment
@click.argument("name")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=0, metavar="MINUTES", help="Retry until all records are live."
)
@resolver
@key_file
@as_json
@click.pass_context
def verify(
    ctx: click.Context,
    environment: Environment,
    name: str,
    wait: float,
    servers: tuple[str, ...],
    key_file: str | None,
    as_json: bool,
) -> None:
    """Check which DNS records of the tenant NAME are live.

    Once all are, its providers are asked to verify the domain. Exits with 1 while something is missing.
    """
    from mailroom_ops.cli import findings
    from mailroom_ops.finding import Level
    from mailroom_ops.settings.parameters import Parameters

    values = Parameters(environment).values()
    key = read_key(key_file)
    until = time.monotonic() + wait * 60
    while True:
        results = list(_check(environment, values, name, servers, key))
        live = all(finding.level is not Level.FAILED for finding in results)
        if live or time.monotonic() + RETRY_SECONDS > until:
            break
        missing = sum(finding.level is Level.FAILED for finding in results)
        click.echo(f"{missing} not live yet, retrying in {RETRY_SECONDS:.0f} s", err=True)
        time.sleep(RETRY_SECONDS)
    findings.show(results, as_json=as_json)
    ctx.exit(0 if live else 1)


def _check(
    environment: Environment, values: Mapping[str, str], name: str, servers: Sequence[str], key: str
) -> "Iterator[Finding]":
    from mailroom_ops.domains import sending
    from mailroom_ops.domains.dns import Dns
    from mailroom_ops.domains.separation import check_separation
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import tenants

    dns = Dns(servers)
    domains = tenants.own_domains(values, name)
    if not domains:
        raise InvalidInput(f"{name} has no from-address of its own.", "`mailroom tenant list` shows all tenants.")
    for domain, purposes in domains.items():
        chain = tenants.chain_of(values, name, purposes[0], environment.chain)
        yield from sending.check_domain(
            dns, domain, sending.chain_accounts(environment, values, chain, key), verify=True
        )
    yield from (finding for finding in check_separation(dns, values) if finding.subject.partition(" ")[2] in domains)


@command.command("list")
@in_environment
@as_json
def list_(environment: Environment, as_json: bool) -> None:
    """List the tenants of an environment, with their senders."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    values = Parameters(environment).values()
    all_tenants = tenants.list_tenants(values)
    if as_json:
        screen.emit(json.dumps([tenant.to_json() for tenant in all_tenants], ensure_ascii=False))
        return
    rows = []
    for tenant in all_tenants:
        chain = "" if tenant.removed else ", ".join(tenants.chain_of(values, tenant.name, "auth", environment.chain))
        sources = ", ".join(map(str.title, tenant.sources))
        access = "removed" if tenant.removed else sources or "send only"
        rows.append((tenant.name, access, chain, tenant.from_ or "inherited"))
    screen.table(("tenant", "access", "providers", "from"), rows)
    if not rows:
        screen.say(f"{environment.label} has no tenant yet. Begin with `mailroom tenant add default --from …`.")


command.add_command(tenant_remove.remove)
command.add_command(tenant_remove.restore)
command.add_command(tenant_remove.purge)
