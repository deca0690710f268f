"""`mailroom cost`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json


@click.command(
    cls=Command,
    examples=(
        ("a million mails a month", "mailroom cost --mails 1000000"),
        ("in Europe, from one fixed address", "mailroom cost --mails 200000 --region eu-central-1 --fixed-egress"),
    ),
)
@click.option("--mails", type=click.IntRange(min=0), default=1_000_000, show_default=True, help="Mails a month.")
@click.option("--region", default="us-east-1", show_default=True, metavar="NAME", help="Region of the prices.")
@click.option("--reports", default=1.0, show_default=True, metavar="NUMBER", help="Reports of the provider for a mail.")
@click.option("--fixed-egress", is_flag=True, help="With FixedEgressIp.")
@click.option("--no-alarms", is_flag=True, help="With Alarms=off.")
@as_json
def command(mails: int, region: str, reports: float, fixed_egress: bool, no_alarms: bool, as_json: bool) -> None:
    """Estimate the monthly bill of AWS, without the provider's.

    For mails that arrive one at a time by webhook; those of a burst cost less. Counts are those of test runs, times of
    Lambda are estimates, prices are on demand and without free tiers, of November 2026.
    """
    from mailroom_ops.capacity.cost import bill
    from mailroom_ops.cli import screen

    items = bill(mails, region, reports, fixed_egress=fixed_egress, has_alarms=not no_alarms)
    total = sum(item.price for item in items)
    fixed = sum(item.price for item in items if item.is_fixed)
    if as_json:
        lines = [{"service": item.service, "quantity": item.quantity, "usd": round(item.price, 2)} for item in items]
        screen.emit(json.dumps({"mails": mails, "region": region, "items": lines, "usd": round(total, 2)}))
        return
    screen.table(("service", "quantity", "USD"), [(i.service, i.quantity, f"{i.price:.2f}") for i in items])
    screen.say(f"Total {total:.2f} USD a month: {total - fixed:.2f} for the mails, {fixed:.2f} whatever their number.")
