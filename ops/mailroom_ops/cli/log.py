"""`mailroom log`"""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.cli.log_table import LogTable
    from mailroom_ops.ledger.trace import Trace

STATUSES = ("accepted", "sent", "delivered", "bounced", "complained", "skipped", "failed", "unknown")
POLL_SECONDS = 2.0


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
    """Show recent mail with its delivery status, the newest last.

    Times are UTC. In a terminal, ids are shortened to what `mailroom trace` accepts; in a pipe they are complete.
    With --json, each line is one object.
    """
    from mailroom_ops.cli.log_table import LogTable
    from mailroom_ops.ledger import tail
    from mailroom_ops.ledger.queries import LedgerQueries

    queries, table = LedgerQueries.of(environment), LogTable()
    recent = tail.latest(queries, limit, tenant=tenant, statuses=statuses)
    if not as_json:
        table.expect(recent)
        if recent or follow:
            table.header()
        elif limit:
            _explain_absence(environment, tenant, statuses)
    for trace in recent:
        _show(trace, table, as_json)
    if not follow:
        if not as_json and table.is_terminal:
            _explain_reasons(recent)
        return
    try:
        for trace in tail.follow(queries, tenant=tenant, statuses=statuses, pause=_pause):
            _show(trace, table, as_json)
    except KeyboardInterrupt:
        return  # Ctrl-C ends it


def _explain_reasons(traces: "Sequence[Trace]") -> None:
    """Print the meaning of each reason in a listing."""
    from mailroom_ops.cli import screen

    meanings = {trace.latest_reason: explanation.meaning for trace in traces if (explanation := trace.explanation)}
    if meanings:
        screen.say()
        screen.table(("reason", "meaning"), meanings.items())


def _pause() -> bool:
    time.sleep(POLL_SECONDS)
    return False


def _explain_absence(environment: Environment, tenant: str, statuses: tuple[str, ...]) -> None:
    from mailroom_ops.cli import screen
    from mailroom_ops.cli.tenant_name import require_tenant

    require_tenant(environment, tenant)
    limits = [*([f"of {tenant}"] if tenant else []), *([f"with status {' or '.join(statuses)}"] if statuses else [])]
    screen.say(" ".join(["There is no mail", *limits, "in the ledger, which keeps mail for 30 days."]))


def _show(trace: "Trace", table: "LogTable", as_json: bool) -> None:
    import sys

    from mailroom_ops.cli import screen

    if as_json:
        screen.emit(json.dumps(trace.to_json(), ensure_ascii=False))
    else:
        table.row(trace)
    sys.stdout.flush()  # a pipe gets each mail at once
