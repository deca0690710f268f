"""`mailroom stats`"""

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
    """Count mail by provider and outcome, and what was not sent by reason.

    A report counts in the hour in which it arrives. With --json, totals come first, then each hour.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.cli.tenant_name import require_tenant
    from mailroom_ops.ledger import stats
    from mailroom_ops.ledger.queries import LedgerQueries

    now = time.time()
    hours = list(stats.stats(LedgerQueries.of(environment), now - days * 24 * 3600, now, tenant))
    total = stats.total(hours)
    if not total.counts:
        require_tenant(environment, tenant)
    if as_json:
        screen.emit_json(
            {
                "tenant": tenant,
                "since": hours[0].hour.isoformat(),
                "total": {status: total.of(status) for status in (*_columns(), *stats.NOT_SENT)},
                "providers": {
                    provider: {status: total.of(status, provider) for status in _columns()}
                    for provider in total.providers
                },
                "reasons": {status: total.split(status) for status in stats.NOT_SENT},
                "asked_again": total.split(stats.ASKED_AGAIN),
                "rescued": total.split(stats.RESCUED),
                "domains": stats.health_json(total.health),
                "hours": [
                    {
                        "hour": hour.hour.isoformat(),
                        "counts": {f"{status}/{by}": number for (status, by), number in hour.counts.items()},
                    }
                    for hour in hours
                ],
            }
        )
        return
    rows = [(provider, *(_cell(total, status, provider) for status in _columns())) for provider in total.providers]
    if len(rows) != 1:
        rows.append(("total", *(_cell(total, status) for status in _columns())))
    if not total.counts:
        screen.say("No mail in this period.")
        return
    screen.table(("provider", *_columns()), rows)
    if health := total.health:
        screen.say()
        columns = ("provider", "to", "sent", "delivered", "deferred", "bounced", "p50", "p95")
        screen.table(columns, [row.cells for row in stats.health_rows(health)])
    for provider, number in total.split(stats.ASKED_AGAIN).items():
        screen.note(f"{number} asked again: {provider} first")
    for provider, number in total.split(stats.RESCUED).items():
        screen.note(f"{number} rescued: through {provider}, too")
    for status in stats.NOT_SENT:
        if number := total.of(status):
            screen.say(f"{number:,} {status}")
            for reason, count in total.split(status).items():
                screen.note(f"{count:,} {reason or 'without a reason'}")


def _columns() -> tuple[str, ...]:
    from mailroom_ops.ledger import stats

    return ("sent", *stats.REPORTED)


def _cell(total: "Counts", status: str, *provider: str) -> str:
    number, share = total.of(status, *provider), total.rate(status, *provider)
    return f"{number:,} ({share:.1%})" if number and share is not None and status != "sent" else f"{number:,}"
