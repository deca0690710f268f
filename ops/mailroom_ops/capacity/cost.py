"""The monthly bill of AWS for a number of mails. The provider's own bill is several times that."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mailroom_ops.capacity import usage
from mailroom_ops.cloudformation import loader
from mailroom_ops.errors import InvalidInput

__all__ = ["PRICES", "Item", "alarm_metrics", "bill"]

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
MILLION = 1e6
GIGABYTE = 1e9
HOURS = 730
EGRESS_BYTES = 15_000  # of a mail through the NAT gateway: to the provider, SQS and SSM


@dataclass(frozen=True, slots=True)
class Prices:
    """USD; per million, gigabyte, hour or month as named. On demand, without free tiers; November 2026."""

    http_api: float
    invocations: float
    gigabyte_seconds: float  # arm64
    sqs: float
    writes: float
    reads: float
    storage: float  # of the table, with backups for 35 days
    logs: float
    metric: float
    alarm_metric: float
    nat_hour: float
    nat_gigabyte: float
    address_hour: float


PRICES: Mapping[str, Prices] = {
    "us-east-1": Prices(1.00, 0.20, 13.3334, 0.40, 0.625, 0.125, 0.45, 0.50, 0.30, 0.10, 0.045, 0.045, 0.005),
    "eu-central-1": Prices(1.20, 0.20, 13.3334, 0.40, 0.7625, 0.1525, 0.53, 0.63, 0.30, 0.10, 0.052, 0.052, 0.005),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill, in USD a month; `is_fixed` if it does not depend on the number of mails."""

    service: str
    quantity: str
    price: float
    is_fixed: bool = False


@cache
def alarm_metrics() -> int:
    """Return the number of metrics that the alarms of a stack watch; those of Cognito only exist with it."""
    resources = loader.load(TEMPLATE)["Resources"].values()
    alarms = [r for r in resources if r["Type"] == "AWS::CloudWatch::Alarm" and r["Condition"] != "HasCognitoAlarms"]
    queries = [alarm["Properties"].get("Metrics", [{"MetricStat": {}}]) for alarm in alarms]
    return sum("MetricStat" in query for metrics in queries for query in metrics)


def bill(
    mails: int,
    region: str = "us-east-1",
    reports: float = 1.0,
    *,
    fixed_egress: bool = False,
    has_alarms: bool = True,
) -> list[Item]:
    """Return the bill for mails that arrive one at a time by webhook, with `reports` reports for each."""
    if region not in PRICES:
        raise InvalidInput(
            f"There are no prices of {region}.", f"Use {' or '.join(PRICES)}, the cheapest and a dear one."
        )
    prices, millions = PRICES[region], mails / MILLION
    requests, invocations = (1 + reports) * millions, (2 + reports) * millions
    seconds = usage.WEBHOOK_SECONDS + usage.DELIVER_SECONDS + reports * usage.FEEDBACK_SECONDS
    compute = seconds * usage.MEMORY_GB * millions
    writes = usage.MAIL_WRITES + usage.INDEX_WRITES + reports * usage.REPORT_WRITES + usage.TALLY_WRITES
    logs = (usage.LOG_BYTES + reports * usage.REPORT_LOG_BYTES) * mails / GIGABYTE
    stored = usage.ROW_BYTES * mails / GIGABYTE
    watched = alarm_metrics() if has_alarms else 0
    polling = usage.POLLING_REQUESTS_PER_MONTH / MILLION
    items = [
        Item("HTTP API", f"{requests:.2f} M requests", requests * prices.http_api),
        Item("Lambda", f"{invocations:.2f} M, {compute * MILLION:,.0f} GB-s", invocations * prices.invocations
             + compute * prices.gigabyte_seconds),
        Item("SQS", f"{usage.QUEUE_REQUESTS * millions:.2f} M requests", usage.QUEUE_REQUESTS * millions * prices.sqs),
        Item("DynamoDB", f"{writes * millions:.2f} M writes", writes * millions * prices.writes
             + usage.READS * millions * prices.reads),
        Item("DynamoDB storage", f"{stored:.1f} GB with backups", stored * prices.storage),
        Item("logs", f"{logs:.1f} GB", logs * prices.logs),
        Item("SQS polling", f"{polling:.1f} M requests", polling * prices.sqs, is_fixed=True),
        Item("metrics", f"{usage.CUSTOM_METRICS} metrics", usage.CUSTOM_METRICS * prices.metric, is_fixed=True),
        Item("alarms", f"{watched} metrics", watched * prices.alarm_metric, is_fixed=True),
    ]  # fmt: skip
    if fixed_egress:
        gigabytes = EGRESS_BYTES * mails / GIGABYTE
        hours = HOURS * (prices.nat_hour + prices.address_hour)
        items.append(Item("NAT gateway and address", f"{HOURS} hours", hours, is_fixed=True))
        items.append(Item("NAT traffic", f"{gigabytes:.0f} GB", gigabytes * prices.nat_gigabyte))
    return items
