"""`mailroom log`"""

import json
import time
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.trace import Trace

STATUSES = ("accepted", "sent", "delivered", "bounced", "complained", "skipped", "failed", "unknown")
PAUSE = 2.0  # seconds between two looks
COLORS = {
    "delivered": "green",
    "sent": "green",
    "bounced": "red",
    "complained": "red",
    "failed": "red",
    "unknown": "yellow",
}


@click.command(
    cls=Command,
    examples=(
        ("what happens, as it happens", "mailroom log --env production --follow"),
        ("what went wrong for a tenant", "mailroom log --tenant acme --status failed --status bounced"),
    ),
)
@in_environment
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--tenant", default="", metavar="NAME", help="Only mail of this tenant.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only mail that has come to this."
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="How many mails back.")
@as_json
def command(
    environment: Environment, follow: bool, tenant: str, statuses: tuple[str, ...], limit: int, as_json: bool
) -> None:
    """Show the newest mails, the newest last, and what became of them. Times are UTC."""
    from mailroom_ops.ledger import tail
    from mailroom_ops.ledger.queries import LedgerQueries

    queries = LedgerQueries.of(environment)
    found = tail.latest(queries, limit, tenant=tenant, statuses=statuses)
    for one in found:
        _show(one, as_json)
    if not follow:
        return
    try:
        for one in tail.follow(queries, tenant=tenant, statuses=statuses, pause=_pause):
            _show(one, as_json)
    except KeyboardInterrupt:
        return  # that is how it ends


def _pause() -> bool:
    time.sleep(PAUSE)
    return False


def _show(one: "Trace", as_json: bool) -> None:
    import sys

    from mailroom_ops.cli import screen

    if as_json:
        screen.emit(json.dumps(one.to_json(), ensure_ascii=False))
        return
    rest = " ".join(filter(None, (one.reason, one.provider, one.tenant, one.kind, one.to)))
    line = f"{one.created:%H:%M:%S} {one.id} "
    room = screen.width() - len(line) - 11
    shown = rest[:room] if sys.stdout.isatty() else rest
    screen.emit(f"{line}{screen.colored(one.status.ljust(10), COLORS.get(one.status, 'bright_black'))} {shown}")
