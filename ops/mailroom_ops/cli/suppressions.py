"""`mailroom suppressions …`"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import click

from mailroom_ops.cli import suppressions_at_providers as at_providers
from mailroom_ops.cli.options import Group, as_json, confirm, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput

if TYPE_CHECKING:
    from mailroom_ops.ledger.suppressions import Entry, ImportPlan

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
    from mailroom_ops.cli.tenant_name import require_tenant
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    entries = list(suppressions.entries(LedgerQueries.of(environment), tenant))
    if as_json:
        screen.emit_json([_to_json(entry) for entry in entries])
        return
    rows = [
        (entry.tenant, entry.cause, _day(entry, "codes"), _day(entry, "notices"), entry.address) for entry in entries
    ]
    screen.table(("tenant", "cause", "codes until", "notices until", "address"), rows)
    if not entries:
        require_tenant(environment, tenant)
        screen.say(f"No address is suppressed{f' for {tenant}' if tenant else ''}.")


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
@as_json
def add(
    environment: Environment,
    address: str,
    tenant: str,
    days: float,
    lanes: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Suppress ADDRESS: send no mail to it."""
    from mailroom.model.kinds import Lane
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions

    suppressions.check_entry(tenant, address)
    confirm_production(environment, f"Suppress {address} for {tenant} in {environment.label}?", yes)
    days_by_lane = {Lane(lane): days for lane in lanes or ("codes", "notices")}
    suppressions.add(suppressions.writable_list(environment), tenant, address, days_by_lane)
    if as_json:
        screen.emit_json({"tenant": tenant, "address": address, "days": days_by_lane})
    else:
        screen.say(f"{address} is suppressed for {tenant}: {' and '.join(days_by_lane)}.")


@command.command("remove")
@in_environment
@click.argument("address")
@tenant_of
@click.option("--at-provider", is_flag=True, help="Remove it from the lists of the tenant's providers, too.")
@at_providers.account_of
@at_providers.key_file
@yes
@as_json
def remove(
    environment: Environment,
    address: str,
    tenant: str,
    at_provider: bool,
    account: str,
    key_file: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Allow mail to ADDRESS again. A provider may have a suppression list of its own: see --at-provider."""
    if at_provider:
        if as_json:
            raise InvalidInput("--at-provider has no JSON.", "`mailroom suppressions check --json` has the result.")
        at_providers.remove_from_both(environment, address, tenant, account, key_file, yes)
        return
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Allow mail of {tenant} to {address} again in {environment.label}?", yes)
    removed = suppressions.remove(LedgerQueries.of(environment), tenant, address)
    if as_json:
        screen.emit_json({"tenant": tenant, "address": address, "removed": removed})
    else:
        screen.say(f"{address} {'is no longer' if removed else 'was not'} suppressed for {tenant}.")


@command.command(
    "import",
    examples=(
        ("show what would change, and change nothing", "mailroom suppressions import bounces.csv --dry-run"),
        ("import a list of another system for one tenant", "mailroom suppressions import bounces.csv --tenant acme"),
    ),
)
@in_environment
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@tenant_of
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@yes
@as_json
def import_(environment: Environment, file: TextIO, tenant: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Import a CSV FILE with a column `address` or `email`.

    Optional columns: `tenant`, `cause`, `codes_until` and `notices_until`, as written by `export`. Without dates, a
    cause has the period of the tenant's policy, and a line without a cause five years. A file with any fault changes
    nothing. An environment that has sent no mail yet takes a list too.
    """
    from dataclasses import asdict

    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    try:
        entries = suppressions.with_policy(environment, suppressions.read_csv(file, tenant))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file.name} is not UTF-8 text.") from error
    plan = suppressions.plan_import(LedgerQueries.of(environment), entries)
    to_write = plan.new + plan.extended
    if as_json:
        screen.emit_json(asdict(plan) | {"dry_run": dry_run})
    else:
        _show_plan(plan, entries, environment.label)
    if dry_run or not to_write:
        if not as_json:
            screen.say("Nothing was changed: this is a dry run." if to_write else "Nothing to change.")
        return
    confirm(environment.label, f"Suppress {_addresses(to_write)} in {environment.label}?", yes)
    queries = suppressions.writable_list(environment)
    with screen.progress(suppressions.add_all(queries, entries), to_write + plan.unchanged, "importing") as added:
        for _ in added:
            pass
    if not as_json:
        screen.say(f"{_addresses(to_write)} {'is' if to_write == 1 else 'are'} suppressed.")


@command.command("export")
@in_environment
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@any_tenant
def export(environment: Environment, file: TextIO, tenant: str) -> None:
    """Write the suppressed addresses to FILE as CSV; - is stdout."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    entries = suppressions.entries(LedgerQueries.of(environment), tenant)
    with screen.progress(entries, None, "exporting") as exported:
        count = suppressions.write_csv(exported, file)
    click.echo(f"{_addresses(count)} written.", err=True)


def _show_plan(plan: "ImportPlan", entries: "Sequence[Entry]", label: str) -> None:
    from collections import Counter

    from mailroom_ops.cli import screen

    counts = Counter((entry.tenant, entry.cause) for entry in entries)
    screen.say(f"An import of {len(entries):,} {'line' if len(entries) == 1 else 'lines'} into {label}:")
    screen.table(("tenant", "cause", "lines"), [(*key, f"{count:,}") for key, count in sorted(counts.items())])
    effects = {
        "new": plan.new,
        "suppressed for longer than now": plan.extended,
        "unchanged: suppressed for as long already": plan.unchanged,
        "left out: their period is over": plan.ended,
    }
    for effect, number in effects.items():
        if number:
            screen.note(f"{number:,} {effect}")


def _addresses(number: int) -> str:
    return f"{number:,} {'address' if number == 1 else 'addresses'}"


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
