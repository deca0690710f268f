"""`mailroom suppressions …`"""

import json
from typing import TYPE_CHECKING, TextIO

import click

from mailroom_ops.cli import suppressions_at_providers as at_providers
from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.suppressions import Entry

tenant_of = click.option(
    "--tenant", default="default", show_default=True, metavar="NAME", help="Tenant whose mail is suppressed."
)
any_tenant = click.option("--tenant", default="", metavar="NAME", help="Only entries of this tenant.")


@click.group(
    cls=Group,
    examples=(
        ("list suppressed addresses", "mailroom suppressions list --env production"),
        ("look for an address in our list and the provider's", "mailroom suppressions check reader@example.com"),
        ("allow mail to it again, here and there", "mailroom suppressions remove reader@example.com --at-provider"),
    ),
)
def command() -> None:
    """Manage suppressed addresses: no mail is sent to them, after a bounce, a complaint or by your decision."""


@command.command("list")
@in_environment
@any_tenant
@as_json
def list_(environment: Environment, tenant: str, as_json: bool) -> None:
    """List suppressed addresses, unmasked."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    entries = list(suppressions.entries(LedgerQueries.of(environment), tenant))
    if as_json:
        screen.emit(json.dumps([_to_json(entry) for entry in entries], ensure_ascii=False))
        return
    rows = [
        (entry.tenant, entry.cause, _day(entry, "codes"), _day(entry, "notices"), entry.address) for entry in entries
    ]
    screen.table(("tenant", "cause", "codes until", "notices until", "address"), rows)
    if not entries:
        screen.say("No address is suppressed.")


@command.command("add")
@in_environment
@click.argument("address")
@tenant_of
@click.option(
    "--days",
    default=365.0,
    show_default=True,
    type=click.FloatRange(0.01, 36500),
    help="How long to suppress the address.",
)
@click.option(
    "--lane", "lanes", multiple=True, type=click.Choice(["codes", "notices"]), help="Only mail of this lane; else both."
)
@yes
def add(environment: Environment, address: str, tenant: str, days: float, lanes: tuple[str, ...], yes: bool) -> None:
    """Suppress ADDRESS: send no mail to it."""
    from mailroom.model.kinds import Lane
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Suppress {address} for {tenant} in {environment.label}?", yes)
    days_by_lane = {Lane(lane): days for lane in lanes or ("codes", "notices")}
    suppressions.add(LedgerQueries.of(environment), tenant, address, days_by_lane)
    screen.say(f"{address} is suppressed for {tenant}: {' and '.join(days_by_lane)}.")


@command.command("remove")
@in_environment
@click.argument("address")
@tenant_of
@click.option("--at-provider", is_flag=True, help="Remove it from the lists of the tenant's providers, too.")
@at_providers.account_of
@at_providers.key_file
@yes
def remove(
    environment: Environment,
    address: str,
    tenant: str,
    at_provider: bool,
    account: str,
    key_file: str | None,
    yes: bool,
) -> None:
    """Allow mail to ADDRESS again. A provider may have a suppression list of its own: see --at-provider."""
    if at_provider:
        at_providers.remove_from_both(environment, address, tenant, account, key_file, yes)
        return
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Allow mail of {tenant} to {address} again in {environment.label}?", yes)
    removed = suppressions.remove(LedgerQueries.of(environment), tenant, address)
    state = "is no longer" if removed else "was not"
    screen.say(f"{address} {state} suppressed for {tenant}.")


@command.command(
    "import",
    examples=(
        ("import a list of another system for one tenant", "mailroom suppressions import bounces.csv --tenant acme"),
    ),
)
@in_environment
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@tenant_of
@yes
def import_(environment: Environment, file: TextIO, tenant: str, yes: bool) -> None:
    """Import a CSV FILE with a column `address` or `email`.

    Optional columns: `tenant`, `cause`, `codes_until` and `notices_until`, as written by `export`. A file with any
    fault changes nothing.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    try:
        entries = suppressions.read_csv(file, tenant)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file.name} is not UTF-8 text.") from error
    queries = LedgerQueries.of(environment)
    confirm_production(environment, f"Suppress {len(entries)} addresses in {environment.label}?", yes)
    with screen.progress(suppressions.add_all(queries, entries), len(entries), "importing") as added:
        count = sum(1 for _ in added)
    screen.say(f"{count} {'address is' if count == 1 else 'addresses are'} suppressed.")


@command.command("export")
@in_environment
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@any_tenant
def export(environment: Environment, file: TextIO, tenant: str) -> None:
    """Write the suppressed addresses to FILE as CSV; - is stdout."""
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    count = suppressions.write_csv(suppressions.entries(LedgerQueries.of(environment), tenant), file)
    click.echo(f"{count} {'address' if count == 1 else 'addresses'} written.", err=True)


command.add_command(at_providers.check)
command.add_command(at_providers.pull)


def _day(entry: "Entry", lane: str) -> str:
    until = entry.codes_until if lane == "codes" else entry.notices_until
    return f"{until:%Y-%m-%d}" if until else "-"


def _to_json(entry: "Entry") -> dict[str, object]:
    ends = {f"{lane}_until": None if _day(entry, lane) == "-" else _day(entry, lane) for lane in ("codes", "notices")}
    since = entry.since.isoformat(timespec="seconds") if entry.since else None
    return {
        "tenant": entry.tenant,
        "address": entry.address,
        "cause": entry.cause,
        **ends,
        "since": since,
        "source": entry.source,
    }
