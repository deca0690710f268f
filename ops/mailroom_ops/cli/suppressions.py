"""`mailroom suppressions …`"""

import json
from typing import TYPE_CHECKING, TextIO

import click

from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.suppressions import Entry

tenant_of = click.option(
    "--tenant", default="default", show_default=True, metavar="NAME", help="Whose mail it gets no more."
)
any_tenant = click.option("--tenant", default="", metavar="NAME", help="Only those of this tenant.")


@click.group(
    cls=Group,
    examples=(
        ("who gets no more mail", "mailroom suppressions list --env production"),
        ("let somebody have mail again", "mailroom suppressions remove reader@example.com"),
    ),
)
def command() -> None:
    """Addresses that get no more mail, because it bounced, because they complained, or because you say so."""


@command.command("list")
@in_environment
@any_tenant
@as_json
def list_(environment: Environment, tenant: str, as_json: bool) -> None:
    """List them, in the clear: this list exists to be acted on."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    found = list(suppressions.entries(LedgerQueries.of(environment), tenant))
    if as_json:
        screen.emit(json.dumps([_to_json(one) for one in found], ensure_ascii=False))
        return
    rows = [(one.tenant, one.cause, _day(one, "codes"), _day(one, "notices"), one.address) for one in found]
    screen.table(("tenant", "why", "codes until", "notices until", "address"), rows)
    if not found:
        screen.say("Nobody is suppressed.")


@command.command("add")
@in_environment
@click.argument("address")
@tenant_of
@click.option("--days", default=365.0, show_default=True, type=click.FloatRange(0.01, 36500), help="For how long.")
@click.option(
    "--lane", "lanes", multiple=True, type=click.Choice(["codes", "notices"]), help="Only these mails; all, if none."
)
@yes
def add(environment: Environment, address: str, tenant: str, days: float, lanes: tuple[str, ...], yes: bool) -> None:
    """Send no more mail to ADDRESS."""
    from mailroom.model.kinds import Lane
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Suppress it for {tenant} in {environment.label}?", yes)
    wanted = {Lane(lane): days for lane in lanes or ("codes", "notices")}
    suppressions.add(LedgerQueries.of(environment), tenant, address, wanted)
    screen.say(f"{address} gets no more {' and '.join(wanted)} from {tenant}.")


@command.command("remove")
@in_environment
@click.argument("address")
@tenant_of
@yes
def remove(environment: Environment, address: str, tenant: str, yes: bool) -> None:
    """Let ADDRESS have mail again. A provider may keep a list of its own."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    confirm_production(environment, f"Let it have mail of {tenant} again in {environment.label}?", yes)
    was = suppressions.remove(LedgerQueries.of(environment), tenant, address)
    screen.say(f"{address} gets mail from {tenant} again." if was else f"{address} was not suppressed for {tenant}.")


@command.command(
    "import",
    examples=(
        ("a list from another system, for one tenant", "mailroom suppressions import bounces.csv --tenant acme"),
    ),
)
@in_environment
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@tenant_of
@yes
def import_(environment: Environment, file: TextIO, tenant: str, yes: bool) -> None:
    """Take over a CSV FILE with a column `address` or `email`.

    It may have `tenant`, `cause`, `codes_until` and `notices_until`, as `export` writes them. A file with any fault
    changes nothing.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    try:
        wanted = suppressions.read_csv(file, tenant)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file.name} is not UTF-8 text.") from error
    queries = LedgerQueries.of(environment)
    confirm_production(environment, f"Suppress {len(wanted)} addresses in {environment.label}?", yes)
    with screen.progress(suppressions.add_all(queries, wanted), len(wanted), "importing") as done:
        count = sum(1 for _ in done)
    screen.say(f"{count} are on the list.")


@command.command("export")
@in_environment
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@any_tenant
def export(environment: Environment, file: TextIO, tenant: str) -> None:
    """Write the list as CSV into FILE; - is stdout."""
    from mailroom_ops.ledger import suppressions
    from mailroom_ops.ledger.queries import LedgerQueries

    count = suppressions.write_csv(suppressions.entries(LedgerQueries.of(environment), tenant), file)
    click.echo(f"{count} written.", err=True)


def _day(one: "Entry", lane: str) -> str:
    until = one.codes_until if lane == "codes" else one.notices_until
    return f"{until:%Y-%m-%d}" if until else "-"


def _to_json(one: "Entry") -> dict[str, object]:
    ends = {f"{lane}_until": None if _day(one, lane) == "-" else _day(one, lane) for lane in ("codes", "notices")}
    since = one.since.isoformat(timespec="seconds") if one.since else None
    return {
        "tenant": one.tenant,
        "address": one.address,
        "cause": one.cause,
        **ends,
        "since": since,
        "source": one.source,
    }
