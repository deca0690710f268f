"""`mailroom scale`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json

RATES = (1.0, 100.0, 1_000.0, 10_000.0)
RAISE = {
    "RequestsPerSecond": "the parameter RequestsPerSecond; above it, callers get a 429",
    "API Gateway's quota": "Service Quotas: API Gateway, throttle rate",
    "Lambda's concurrency": "Service Quotas: Lambda, concurrent executions",
    "CodesConcurrency": "the parameter CodesConcurrency",
    "the provider's rate": "ask the provider, or add one to the chain",
    "the ledger's writes": "warm throughput of the table, then its quota of 40,000 writes a second",
}


@click.command(
    cls=Command,
    examples=(
        ("four rates, with the template's defaults", "mailroom scale"),
        ("one rate, with more concurrency", "mailroom scale --rate 1000 --codes-concurrency 100"),
    ),
)
@click.option("--rate", "rates", multiple=True, type=float, metavar="NUMBER", help="Mails a second; repeatable.")
@click.option("--minutes", default=10, show_default=True, metavar="NUMBER", help="Duration of the rate.")
@click.option("--requests-per-second", default=500.0, show_default=True, help="RequestsPerSecond of the stack.")
@click.option("--codes-concurrency", default=20, show_default=True, help="CodesConcurrency of the stack.")
@click.option("--account-concurrency", default=1000, show_default=True, help="Quota of Lambda.")
@click.option("--provider-rate", default=1000.0, show_default=True, help="Mails a second that the provider takes.")
@click.option("--warm-writes", default=4000.0, show_default=True, help="Writes a second that the table takes at once.")
@as_json
def command(
    rates: tuple[float, ...],
    minutes: int,
    requests_per_second: float,
    codes_concurrency: int,
    account_concurrency: int,
    provider_rate: float,
    warm_writes: float,
    as_json: bool,
) -> None:
    """Simulate a steady rate of codes: queue, concurrency, cost, and what to raise first.

    A simulation of AWS's documented limits with times measured in tests; nothing is sent.
    """
    from mailroom_ops.capacity.cost import bill
    from mailroom_ops.capacity.scale import Limits, find_bottlenecks, simulate
    from mailroom_ops.cli import screen

    limits = Limits(
        requests_per_second=requests_per_second,
        codes_concurrency=codes_concurrency,
        account_concurrency=account_concurrency,
        provider_rate=provider_rate,
        warm_writes=warm_writes,
    )
    rows, report = [], []
    for rate in rates or RATES:
        result = simulate(rate, minutes * 60, limits)
        daily = sum(item.price for item in bill(int(result.sent * 86_400)) if not item.is_fixed)
        bottlenecks = [name for name, _ in find_bottlenecks(rate, minutes * 60, limits)]
        rows.append(
            (
                f"{rate:,.0f}",
                f"{result.rejected:,.0f}",
                f"{result.sent:,.0f}",
                f"{result.age_seconds:,.1f} s",
                f"{result.concurrency:,.0f}",
                f"{daily:,.2f}",
            )
        )
        report.append({"rate": rate, "sent": result.sent, "age_seconds": result.age_seconds, "raise": bottlenecks})
    if as_json:
        screen.emit(json.dumps(report))
        return
    screen.table(("mails/s", "429/s", "sent/s", "queue age", "concurrency", "USD a day"), rows)
    for rate, entry in zip(rates or RATES, report, strict=True):
        if entry["raise"]:
            screen.say(f"To send {rate:,.0f} a second, raise in this order:")
            for name in entry["raise"]:  # type: ignore[attr-defined]
                screen.note(f"{name}: {RAISE[name]}")
