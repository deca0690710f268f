"""`mailroom tenant …`"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli import tenant_add, tenant_remove
from mailroom_ops.cli.options import Group, as_json, in_environment, key_file, key_in, resolver
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.finding import Finding

PAUSE = 15.0  # seconds between two looks at DNS


@click.group(
    cls=Group,
    examples=(
        ("a tenant, and what its DNS needs", "mailroom tenant add acme --from 'Acme <hi@auth.acme.com>'"),
        ("which of its records are live", "mailroom tenant verify acme"),
    ),
)
def command() -> None:
    """Tenants: whose mail it is, with its sender, its brand and its domain."""


command.add_command(tenant_add.add)


@command.command(
    "verify",
    examples=(("wait for up to an hour until all is live", "mailroom tenant verify acme --env staging --wait 60"),),
)
@in_environment
@click.argument("name")
@click.option("--wait", type=click.FloatRange(min=0), default=0, metavar="MINUTES", help="Look again until it is live.")
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
    """Tell which DNS records of a tenant are live.

    Asks its providers to look again, once DNS holds all they want. Exits with 1 while something is missing.
    """
    from mailroom_ops.cli import findings
    from mailroom_ops.finding import Level
    from mailroom_ops.settings.parameters import Parameters

    values = Parameters(environment).values()
    key = key_in(key_file)
    until = time.monotonic() + wait * 60
    while True:
        found = list(_checked(environment, values, name, servers, key))
        live = all(one.level is not Level.FAILED for one in found)
        if live or time.monotonic() + PAUSE > until:
            break
        missing = sum(one.level is Level.FAILED for one in found)
        click.echo(f"{missing} not live yet, looking again in {PAUSE:.0f} s", err=True)
        time.sleep(PAUSE)
    findings.show(found, as_json=as_json)
    ctx.exit(0 if live else 1)


def _checked(
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
        raise InvalidInput(f"{name} has no from-address of its own.", "`mailroom tenant list` tells who has.")
    for domain, purposes in domains.items():
        chain = tenants.chain_of(values, name, purposes[0], environment.chain)
        yield from sending.check_domain(
            dns, domain, sending.chain_accounts(environment, values, chain, key), verify=True
        )
    yield from (one for one in check_separation(dns, values) if one.subject.partition(" ")[2] in domains)


@command.command("list")
@in_environment
@as_json
def list_(environment: Environment, as_json: bool) -> None:
    """List the tenants of an environment, and who their mail is from."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import tenants
    from mailroom_ops.settings.parameters import Parameters

    values = Parameters(environment).values()
    found = tenants.all_of(values)
    if as_json:
        screen.emit(json.dumps([tenant.to_json() for tenant in found], ensure_ascii=False))
        return
    rows = []
    for tenant in found:
        chain = "" if tenant.removed else ", ".join(tenants.chain_of(values, tenant.name, "auth", environment.chain))
        state = "set aside" if tenant.removed else "Logto" if tenant.has_webhook else "send only"
        rows.append((tenant.name, state, chain, tenant.from_ or "as default"))
    screen.table(("tenant", "by", "through", "from"), rows)
    if not rows:
        screen.say(f"{environment.label} has no tenant yet, not even default: `mailroom tenant add default --from …`.")


command.add_command(tenant_remove.remove)
command.add_command(tenant_remove.restore)
command.add_command(tenant_remove.purge)
