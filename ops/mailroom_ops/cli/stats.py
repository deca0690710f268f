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
    examples=(("count a tenant's mail of the last week", "mailroom stats --env production --tenant acme --days 7"),),
)
@in_environment
@click.option(
    "--days", default=1.0, show_default=True, type=click.FloatRange(0.01, 400), help="Length of the period until now."
)
@click.option("--tenant", default="", metavar="NAME", help="Only mail of this tenant.")
@as_json
def command(environment: Environment, days: float, tenant: str, as_json: bool) -> None:
    """Count mail by provider and outcome, and what was not sent by reason."""
    from mailroom_ops.cli import screen
    from mailroom_ops.ledger import stats
    from mailroom_ops.ledger.queries import LedgerQueries

    now = time.time()
    hours = list(stats.stats(LedgerQueries.of(environment), now - days * 24 * 3600, now, tenant))
    if as_json:
        report = [
            {"hour": hour.hour.isoformat(), "counts": {f"{what}/{by}": n for (what, by), n in hour.counts.items()}}
            for hour in hours
        ]
        screen.emit(json.dumps(report))
        return
    total = stats.total(hours)
    columns = ("sent", *stats.REPORTED)
    rows = [(provider, *(_cell(total, what, provider) for what in columns)) for provider in total.providers]
    screen.table(("provider", *columns), rows)
    for provider, number in total.split(stats.ASKED_AGAIN).items():
        screen.note(f"{number} asked again: {provider} first")
    for what in stats.NOT_SENT:
        for reason, number in total.split(what).items():
            screen.note(f"{number} {what}" + (f": {reason}" if reason else ""))
    if not total.counts:
        screen.say("No mail in this period.")


def _cell(total: "Counts", what: str, provider: str) -> str:
    number, share = total.of(what, provider), total.rate(what, provider)
    return f"{number} ({share:.1%})" if number and share is not None and what != "sent" else str(number)
