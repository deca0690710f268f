"""Statistics by hour, from the tallies that the functions write."""

import time
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import Ledger
from mailroom.ledger.tally import Tally, hour_of
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.stats import Counts, stats, total
from tests.factories import Clock

HOUR = 3600.0


@pytest.fixture
def counted(ledger: Ledger) -> None:
    for tenant, status, label, number in (
        ("default", "sent", "resend", 90),
        ("acme", "sent", "ses", 10),
        ("default", "bounced", "resend", 9),
        ("acme", "skipped", "suppressed", 2),
    ):
        ledger.tally.count(tenant, status, label, number)
    ledger.tally.flush()


def last_hours(queries: LedgerQueries, number: int, tenant: str = "") -> list[Counts]:
    now = time.time()
    return list(stats(queries, now - number * HOUR, now, tenant))


@pytest.mark.usefixtures("counted")
def test_each_hour_has_its_counts(queries: LedgerQueries) -> None:
    hours = last_hours(queries, 5)
    assert len(hours) == 6
    assert [hour.of("sent") for hour in hours[:-2]] == [0, 0, 0, 0]


@pytest.mark.usefixtures("counted")
def test_the_total_is_split_by_provider_and_reason(queries: LedgerQueries) -> None:
    whole = total(last_hours(queries, 5))
    assert whole.providers == ["resend", "ses"]
    assert whole.of("sent") == 100
    assert whole.of("sent", "ses") == 10
    assert whole.split("skipped") == {"suppressed": 2}


@pytest.mark.usefixtures("counted")
def test_a_rate_is_a_share_of_the_sent_mail(queries: LedgerQueries) -> None:
    whole = total(last_hours(queries, 5))
    assert (whole.rate("bounced"), whole.rate("bounced", "resend"), whole.rate("bounced", "ses")) == (0.09, 0.1, 0)


@pytest.mark.usefixtures("counted")
def test_the_counts_of_one_tenant_are_its_own(queries: LedgerQueries) -> None:
    whole = total(last_hours(queries, 1, "acme"))
    assert (whole.of("sent"), whole.rate("bounced")) == (10, 0)


def test_without_sent_mail_there_is_no_rate(queries: LedgerQueries) -> None:
    assert total(last_hours(queries, 1)).rate("bounced") is None


def test_a_tally_that_cannot_be_written_is_written_later(aws: Aws, queries: LedgerQueries) -> None:
    ledger = Ledger(aws, "no such table", 16)
    ledger.tally.count("default", "sent", "resend")
    with pytest.raises(Exception, match="ResourceNotFound"):
        ledger.tally.flush()
    ledger.tally._table = "ledger"
    ledger.tally.flush()
    assert total(last_hours(queries, 1)).of("sent") == 1


class Writes:
    """Counts the rows that a tally writes."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def call(self, service: str, operation: str, payload: dict[str, Any]) -> None:
        self.updates.append(payload)

    def total(self, name: str) -> float:
        """Return the sum of a counter over all rows of all tenants."""
        return sum(
            float(update["ExpressionAttributeValues"][f":{key.removeprefix('#')}"]["N"])
            for update in self.updates
            if "#*#" in update["Key"]["pk"]["S"]
            for key, counted in update["ExpressionAttributeNames"].items()
            if counted == name
        )


def invoke(tally: Tally, clock: Clock, count: int, every: float) -> None:
    for _ in range(count):
        tally.count("default", "sent", "resend")
        tally.flush_if_due()
        clock.now += every


@pytest.mark.parametrize(("every", "rows"), [(60.0, 200), (1.0, 22)])
def test_a_busy_process_writes_its_counts_once_in_ten_seconds(
    every: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, writes = Clock(), Writes()
    monkeypatch.setattr("mailroom.ledger.tally.time.time", clock)
    tally = Tally(writes, "ledger", 16)  # type: ignore[arg-type]
    invoke(tally, clock, 100, every)
    assert len(writes.updates) == rows
    tally.flush()
    assert writes.total("sent/resend") == 100


def test_counts_belong_to_the_hour_in_which_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, writes = Clock(), Writes()
    monkeypatch.setattr("mailroom.ledger.tally.time.time", clock)
    tally = Tally(writes, "ledger", 16)  # type: ignore[arg-type]
    hour = hour_of(clock.now)
    invoke(tally, clock, 3, 0.1)
    clock.now += 2 * 3600
    tally.flush_if_due()
    assert {update["Key"]["pk"]["S"].split("#")[2] for update in writes.updates} == {hour}
    assert writes.total("sent/resend") == 3


def outcome(status: Status, reason: str = "", provider: str = "", *, asked: str = "") -> Outcome:
    """Return an outcome; `asked` is the account whose attempt failed before it."""
    tries = (Attempt(time.time(), asked, "http_503", error=TemporaryFailure),) if asked else ()
    return Outcome(status, reason, provider, tries=tries)


def test_mail_that_was_not_sent_counts_by_provider_and_by_reason(ledger: Ledger, queries: LedgerQueries) -> None:
    for ended in (
        outcome(Status.SENT, provider="resend"),
        outcome(Status.FAILED, "quota", "resend"),
        outcome(Status.FAILED, "http_503", asked="ses"),
        outcome(Status.FAILED, "holding_back"),
        outcome(Status.SKIPPED, "expired"),
    ):
        ledger.tally.count_outcome("default", ended)
    ledger.tally.flush()
    whole = total(last_hours(queries, 1))
    assert whole.split("failed") == {"quota": 1, "http_503": 1, "holding_back": 1}
    assert [whole.of("failed", label) for label in ("", "resend", "ses", "quota")] == [3, 1, 1, 1]
    assert whole.split("skipped") == {"expired": 1}
    assert whole.split("sent") == {"resend": 1}


def test_attempts_that_brought_no_acceptance_count_by_provider(ledger: Ledger, queries: LedgerQueries) -> None:
    failed = Attempt(time.time(), "ses", "http_503", error=TemporaryFailure)
    ledger.tally.count_attempts("acme", [failed, failed, Attempt(time.time(), "resend", "accepted")])
    ledger.tally.flush()
    whole = total(last_hours(queries, 1, "acme"))
    assert (whole.failed_attempts(), whole.failed_attempts("ses"), whole.failed_attempts("resend")) == (2, 2, 0)
    assert whole.providers == ["ses"]


@pytest.mark.parametrize(
    ("event", "status", "reason"),
    [
        (EventType.FAILED, "rejected", Reason.QUOTA),
        (EventType.REJECTED, "rejected", Reason.CONTENT),
        (EventType.SUPPRESSED, "suppressed", Reason.PREVIOUS_BOUNCE),
    ],
)
def test_a_report_that_a_mail_was_not_sent_after_all_counts_by_reason(
    ledger: Ledger, queries: LedgerQueries, event: EventType, status: str, reason: Reason
) -> None:
    ledger.tally.count_event("default", Event(event, "resend", "1", time.time(), reason=reason))
    ledger.tally.flush()
    whole = total(last_hours(queries, 1))
    assert whole.split(status) == {reason: 1}
    assert whole.of("failed") == 0


def test_counters_of_the_former_form_have_no_reason(ledger: Ledger, queries: LedgerQueries) -> None:
    ledger.tally.count("default", "sent", "resend")
    ledger.tally.count("default", "failed", "resend", 2)
    ledger.tally.flush()
    assert total(last_hours(queries, 1)).split("failed") == {"": 2}


def test_a_share_is_over_the_limit_only_at_a_provider_with_enough_mail(ledger: Ledger, queries: LedgerQueries) -> None:
    for provider in ("resend", "ses"):
        ledger.tally.count("default", "sent", provider, 700)
        ledger.tally.count("default", "complained", provider, 2)
    ledger.tally.flush()
    whole = total(last_hours(queries, 1))
    assert not whole.is_over("complained")
    ledger.tally.count("default", "sent", "ses", 400)
    ledger.tally.flush()
    assert total(last_hours(queries, 1)).is_over("complained")
