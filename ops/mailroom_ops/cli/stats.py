"""`mailroom stats`"""

import json
import time
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.stats import Counts


@click.command(
    cls=Command,
    examples=(("a tenant's last week", "mailroom stats --env production --tenant acme --days 7"),),
)
@in_environment
@click.option("--days", default=1.0, show_default=True, type=click.FloatRange(0.01, 400), help="How far back.")
@click.option("--tenant", default="", metavar="NAME", help="Only mail of this tenant.")
@as_json
def command(environment: Environment, days: float, tenant: str, as_json: bool) -> None:
    """Show how much was sent, and what became of it, by provider and by reason."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import stats
    from mailroom_ops.ledger.queries import LedgerQueries

    now = time.time()
    hours = list(stats.stats(LedgerQueries.of(environment), now - days * 24 * 3600, now, tenant))
    if as_json:
        report = [
            {"hour": one.hour.isoformat(), "counts": {f"{what}/{by}": n for (what, by), n in one.counts.items()}}
            for one in hours
        ]
        screen.emit(json.dumps(report))
        return
    whole = stats.total(hours)
    went = ("sent", *stats.REPORTED)
    rows = [(provider, *(_cell(whole, what, provider) for what in went)) for provider in whole.providers]
    screen.table(("through", *went), rows)
    for what in stats.NOT_SENT:
        for reason, number in whole.split(what).items():
            screen.note(f"{number} {what}" + (f": {reason}" if reason else ""))
    if not whole.counts:
        screen.say("Nothing was sent in that time.")


def _cell(whole: "Counts", what: str, provider: str) -> str:
    number, share = whole.of(what, provider), whole.rate(what, provider)
    return f"{number} ({share:.1%})" if number and share is not None and what != "sent" else str(number)
