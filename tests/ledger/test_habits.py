"""Habits: which provider normally reports its deliveries, by the tallies of the last day."""

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.habits import Habits
from mailroom.ledger.table import Ledger
from mailroom.ledger.tally import EVERYONE, hour_of

NINE = 1_795_770_000.0  # a full hour: 2026-11-27 09:00 UTC
MINUTE = 60.0
HOUR = 3600.0


@pytest.fixture
def habits(ledger: Ledger) -> Habits:
    return ledger.habits


def tally(aws: Aws, at: float, sent: int, delivered: int) -> None:
    counts = {"sent@gmail/resend": sent, "delivered<10@gmail/resend": delivered}
    item = {"pk": {"S": f"tally#{EVERYONE}#{hour_of(at)}#7"}}
    item |= {name: {"N": str(number)} for name, number in counts.items()}
    aws.call("dynamodb", "PutItem", {"TableName": "ledger", "Item": item})


@pytest.mark.parametrize("now", [NINE - 1, NINE + 6])
def test_mail_that_is_held_up_for_seconds_takes_no_habit_away(aws: Aws, habits: Habits, now: float) -> None:
    tally(aws, NINE - 2 * HOUR, sent=100, delivered=97)
    tally(aws, NINE - 1, sent=30, delivered=0)
    assert habits.reports("resend", "gmail", 30, now)


def test_mail_that_is_not_reported_within_minutes_counts(aws: Aws, habits: Habits) -> None:
    tally(aws, NINE - 2 * HOUR, sent=100, delivered=97)
    tally(aws, NINE - 1, sent=30, delivered=0)
    assert not habits.reports("resend", "gmail", 30, NINE + 10 * MINUTE)


@pytest.mark.parametrize("now", [NINE + 6, NINE + 30 * MINUTE])
def test_the_present_counts_where_there_is_nothing_else(aws: Aws, habits: Habits, now: float) -> None:
    tally(aws, now, sent=100, delivered=97)
    assert habits.reports("resend", "gmail", 30, now)
    assert not habits.reports("ses", "gmail", 30, now)


def test_what_is_older_than_a_day_does_not_count(aws: Aws, habits: Habits) -> None:
    tally(aws, NINE - 26 * HOUR, sent=100, delivered=97)
    assert not habits.reports("resend", "gmail", 30, NINE + 30 * MINUTE)


@pytest.mark.parametrize(
    ("sent", "delivered", "seconds", "expected"),
    [(20, 18, 10, True), (19, 19, 10, False), (20, 17, 10, False), (100, 97, 9, False)],
)
def test_a_habit_is_nine_reports_of_ten_in_time_of_twenty_mails(
    aws: Aws, habits: Habits, sent: int, delivered: int, seconds: float, expected: bool
) -> None:
    tally(aws, NINE - HOUR, sent, delivered)
    assert habits.reports("resend", "gmail", seconds, NINE + 30 * MINUTE) is expected
