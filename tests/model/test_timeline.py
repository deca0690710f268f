"""The causal order of a timeline, whatever the order in which its entries were recorded."""

from typing import Any

import pytest

from mailroom.model.outcome import Status
from mailroom.model.record import Record, TimelineEntry
from mailroom.model.timeline import causal_timeline
from tests.factories import NOW

Entry = dict[str, Any]

TAKEN = {"at": NOW + 0.466, "provider": "resend", "answer": "accepted"}
SENT = {"at": NOW + 0.468, "status": Status.SENT}


def report(seconds: float, event: str) -> Entry:
    return {"at": NOW + seconds, "event": event, "provider": "resend"}


def attempt(seconds: float, answer: str, error: str) -> Entry:
    return {"at": NOW + seconds, "provider": "resend", "answer": answer, "error": error}


def order(*entries: Entry) -> list[str]:
    """Return the names of the entries after the receipt of the request."""
    timeline = tuple(map(TimelineEntry.from_row, entries))
    record = Record("0" * 32, "default", "sign-in-code", "logto", "r", "hash", NOW, Status.SENT, timeline=timeline)
    first, *others = causal_timeline(record)
    assert (first.event, first.detail, first.at) == ("received", "from logto", NOW)
    return [entry.event or entry.status or entry.answer for entry in others]


def test_a_mail_without_entries_was_received() -> None:
    assert order() == []


def test_the_acceptance_by_a_provider_and_the_status_sent_are_one_step() -> None:
    assert order(TAKEN, SENT) == ["sent"]


@pytest.mark.parametrize("seconds", [0.460, 0.0, -5.0, 0.467, 3.0])
def test_a_report_comes_after_the_attempt_that_it_is_about(seconds: float) -> None:
    assert order(report(seconds, "bounced"), TAKEN, SENT) == ["sent", "bounced"]


def test_reports_within_a_second_are_in_the_order_of_their_causes() -> None:
    assert order(TAKEN, SENT, report(2.9, "complained"), report(3.0, "delivered"), report(2.5, "opened")) == [
        *("sent", "delivered", "opened", "complained")
    ]


def test_reports_of_different_seconds_are_in_the_order_of_time() -> None:
    assert order(TAKEN, SENT, report(90, "delivered"), report(60, "deferred"), report(30, "bounced")) == [
        *("sent", "bounced", "deferred", "delivered")
    ]


def test_a_report_can_come_between_an_unclear_attempt_and_the_next_one() -> None:
    late = [TAKEN | {"at": NOW + 10}, SENT | {"at": NOW + 10}]
    assert order(attempt(1, "no_answer", "ambiguous"), report(4, "delivered"), *late) == [
        *("no_answer", "delivered", "sent")
    ]


def test_a_report_that_overtakes_the_answer_comes_after_it() -> None:
    unclear = attempt(1, "http_503", "ambiguous")
    assert order(unclear, TAKEN | {"at": NOW + 10}, SENT | {"at": NOW + 10}, report(9.999, "delivered")) == [
        *("http_503", "sent", "delivered")
    ]


def test_a_report_is_not_before_the_only_attempt_that_can_have_caused_it() -> None:
    assert order(report(0.9, "delivered"), attempt(0.5, "http_503", "unavailable"), TAKEN | {"at": NOW + 1}) == [
        *("http_503", "accepted", "delivered")
    ]


def test_a_mail_that_was_replayed_shows_both_runs() -> None:
    failed = [attempt(1, "quota", "unavailable"), {"at": NOW + 2, "status": "failed", "reason": "quota"}]
    again = [{"at": NOW + 60, "status": "replayed"}, TAKEN | {"at": NOW + 61}, SENT | {"at": NOW + 61}]
    assert order(*failed, *again) == ["quota", "failed", "replayed", "sent"]
