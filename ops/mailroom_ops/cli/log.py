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
POLL_SECONDS = 2.0
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
        ("follow all mail", "mailroom log --env production --follow"),
        ("show the failed and bounced mail of a tenant", "mailroom log --tenant acme --status failed --status bounced"),
    ),
)
@in_environment
@click.option("--follow", "-f", is_flag=True, help="Follow until Ctrl-C.")
@click.option("--tenant", default="", metavar="NAME", help="Only mail of this tenant.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only mail with this status; repeatable."
)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(0), help="Number of recent mails to begin with."
)
@as_json
def command(
    environment: Environment, follow: bool, tenant: str, statuses: tuple[str, ...], limit: int, as_json: bool
) -> None:
    """Show recent mail with its delivery status, the newest last. Times are UTC."""
    from mailroom_ops.ledger import tail
    from mailroom_ops.ledger.queries import LedgerQueries

    queries = LedgerQueries.of(environment)
    for trace in tail.latest(queries, limit, tenant=tenant, statuses=statuses):
        _show(trace, as_json)
    if not follow:
        return
    try:
        for trace in tail.follow(queries, tenant=tenant, statuses=statuses, pause=_pause):
            _show(trace, as_json)
    except KeyboardInterrupt:
        return  # Ctrl-C ends it


def _pause() -> bool:
    time.sleep(POLL_SECONDS)
    return False


def _show(trace: "Trace", as_json: bool) -> None:
    import sys

    from mailroom_ops.cli import screen

    if as_json:
        screen.emit(json.dumps(trace.to_json(), ensure_ascii=False))
        return
    details = " ".join(filter(None, (trace.reason, trace.provider, trace.tenant, trace.kind, trace.to)))
    line = f"{trace.created:%H:%M:%S} {trace.id} "
    room = screen.width() - len(line) - 11
    shown = details[:room] if sys.stdout.isatty() else details
    screen.emit(f"{line}{screen.colored(trace.status.ljust(10), COLORS.get(trace.status, 'bright_black'))} {shown}")
