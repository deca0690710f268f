"""The estimates of `mailroom cost` and `mailroom scale` against counted calls and log lines of real runs."""

import json

import pytest

from mailroom_ops.capacity import usage
from mailroom_ops.capacity.cost import PRICES, alarm_metrics, bill
from mailroom_ops.capacity.scale import Limits, find_bottlenecks, simulate
from tests.command import Run
from tests.deployment.measured import steady_traffic
from tests.running import Running, running
from tests.test_template import BODY

pytestmark = pytest.mark.thorough

ADDED_BYTES = 26  # by CloudWatch, to each line


def test_a_mail_uses_the_calls_that_its_price_is_made_of() -> None:
    mail = steady_traffic()
    assert mail.writes == usage.MAIL_WRITES + usage.REPORT_WRITES
    assert mail.index_writes == usage.INDEX_WRITES
    assert mail.tally_writes == pytest.approx(usage.TALLY_WRITES, abs=0.1)
    assert mail.reads == usage.READS
    assert mail.queue_requests == usage.QUEUE_REQUESTS
    assert mail.invocations == 3


def test_a_mail_writes_the_log_bytes_that_its_price_is_made_of() -> None:
    mails = 3
    with running(reports=True) as stack:
        send(stack, reports=1)  # the cold starts
        before = len(stack.logs())
        for number in range(mails):
            send(stack, reports=number + 2)
        lines = [line for line in stack.logs()[before:] if line.startswith("{")]
    written = sum(len(line) + ADDED_BYTES for line in lines)
    assert written / mails == pytest.approx(usage.LOG_BYTES + usage.REPORT_LOG_BYTES, rel=0.1)


def send(stack: Running, reports: int) -> None:
    """Send a mail, and wait until so many reports of deliveries are counted."""
    to = stack.address()
    stack.logto({"to": to, "type": "SignIn", "payload": {"code": "000000", "locale": "en"}})
    stack.mail_to(to)
    stack.until(lambda: len(stack.logs("feedback")) >= reports)
    stack.until(lambda: len(stack.logs("access")) >= 2 * reports)


def test_the_alarms_are_those_of_the_template() -> None:
    failure_rate = BODY["Resources"]["FailureRateAlarm"]["Properties"]["Metrics"]
    assert alarm_metrics() > 40
    assert alarm_metrics() > len(failure_rate)


def test_a_million_mails_cost_what_the_page_shows(run: Run) -> None:
    done = run("cost", "--mails", "1000000", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["usd"] == pytest.approx(22.3, abs=0.5)
    by_mail = sum(item.price for item in bill(1_000_000) if not item.is_fixed)
    assert by_mail == pytest.approx(12.3, abs=0.3)
    assert f"Total {report['usd']:.2f} USD a month" in run("cost").text
    unwatched = json.loads(run("cost", "--no-alarms", "--json").out)
    assert unwatched["usd"] == pytest.approx(report["usd"] - alarm_metrics() * 0.1)


def test_a_mail_reaches_the_goals_of_its_price() -> None:
    writes = usage.MAIL_WRITES + usage.INDEX_WRITES + usage.REPORT_WRITES + usage.TALLY_WRITES
    assert writes <= 8
    assert usage.LOG_BYTES + usage.REPORT_LOG_BYTES <= 2_500
    assert sum(item.price for item in bill(1_000_000) if not item.is_fixed) <= 18
    assert sum(item.price for item in bill(1_000_000, has_alarms=False)) <= 18


@pytest.mark.parametrize("region", PRICES)
def test_the_bill_grows_with_mails_reports_and_egress(region: str) -> None:
    def total(mails: int, reports: float = 1.0, *, fixed_egress: bool = False) -> float:
        return sum(item.price for item in bill(mails, region, reports, fixed_egress=fixed_egress))

    assert total(0) == pytest.approx(sum(item.price for item in bill(0, region) if item.is_fixed))
    assert total(2_000_000) > total(1_000_000) > total(0)
    assert total(1_000_000, 2.0) > total(1_000_000, 1.0)
    assert total(1_000_000, fixed_egress=True) > total(1_000_000) + 36


def test_a_region_without_prices_is_refused(run: Run) -> None:
    done = run("cost", "--region", "mars-1")
    assert done.code == 2
    assert "us-east-1 or eu-central-1" in done.text


def test_a_rate_below_every_limit_is_sent_at_once() -> None:
    result = simulate(100, 600)
    assert (result.rejected, result.sent, result.bottlenecks) == (0, 100, ())
    assert result.age_seconds < 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), "RequestsPerSecond"),
        (Limits(requests_per_second=2000, codes_concurrency=1000, warm_writes=40000), "the provider's rate"),
        (Limits(requests_per_second=2000, provider_rate=9999, warm_writes=40000), "CodesConcurrency"),
        (Limits(requests_per_second=2000, provider_rate=9999, codes_concurrency=1000), "the ledger's writes"),
        (
            Limits(2000, provider_rate=9999, codes_concurrency=1000, warm_writes=40000, account_concurrency=50),
            "Lambda's concurrency",
        ),
    ],
)
def test_the_first_limit_that_a_rate_meets_is_named(limits: Limits, expected: str) -> None:
    assert simulate(1500, 600, limits).bottlenecks[0] == expected
    names = [name for name, _ in find_bottlenecks(1500, 600, limits)]
    assert names[0] == expected
    assert len(set(names)) == len(names), "each is raised once"


def test_a_queue_that_grows_is_as_old_as_it_is_long() -> None:
    result = simulate(1500, 600, Limits(requests_per_second=2000, warm_writes=40000, provider_rate=9999))
    assert result.sent == 400
    assert result.age_seconds == pytest.approx((1500 - 400) / 400 * 600, rel=0.05)


def test_the_table_of_rates_is_printed_with_what_to_raise(run: Run) -> None:
    done = run("scale", "--minutes", "1")
    assert done.code == 0
    assert "To send 10,000 a second, raise in this order:" in done.text
    assert all(len(line) <= 80 for line in done.out.splitlines())
    report = json.loads(run("scale", "--rate", "1", "--json").out)
    assert report == [{"rate": 1.0, "sent": 1.0, "age_seconds": 0.2, "raise": []}]
