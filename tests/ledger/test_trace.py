"""The trace of one message, and the log of the newest."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.ledger.table import Ledger
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.message import Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.tail import follow, latest
from mailroom_ops.ledger.trace import find_traces
from tests.factories import KEY, NOW, sent
from tests.ledger.helpers import message_at


@pytest.mark.parametrize("by", ["id", "address", "provider's id"])
def test_a_trace_has_all_steps_in_order(ledger: Ledger, queries: LedgerQueries, by: str) -> None:
    mail = sent(ledger, message_at(NOW), "resend", "re-1")
    ledger.record(mail.id, Event(EventType.COMPLAINED, "resend", "2", NOW + 60))
    ledger.record(mail.id, Event(EventType.DELIVERED, "resend", "1", NOW + 2))
    (trace,) = find_traces(queries, {"id": mail.id, "address": mail.to, "provider's id": "<re-1>"}[by])
    assert (trace.id, trace.tenant, trace.kind, trace.status) == (mail.id, "default", "notification", "complained")
    assert [step.event for step in trace.steps] == ["received", "sent", "delivered", "complained"]
    assert trace.created == datetime.fromtimestamp(NOW, UTC)
    assert "reader" not in repr(trace)


def test_the_trace_of_a_bounce_has_its_reason(ledger: Ledger, queries: LedgerQueries) -> None:
    mail = sent(ledger, message_at(NOW), "ses")
    ledger.record(mail.id, Event(EventType.BOUNCED, "ses", "1", NOW, reason=Reason.MAILBOX_FULL, detail="452 4.2.2"))
    (trace,) = find_traces(queries, mail.id)
    assert (trace.steps[-1].provider, trace.steps[-1].detail) == ("ses", "transient mailbox_full 452 4.2.2")


def test_a_trace_in_json_has_times_with_milliseconds(ledger: Ledger, queries: LedgerQueries) -> None:
    mail = sent(ledger, message_at(NOW), "ses", "ses-1")
    (trace,) = find_traces(queries, mail.id)
    assert trace.to_json() == {
        "id": mail.id,
        "tenant": "default",
        "kind": "notification",
        "to": "r•••@example.com",
        "source": "logto",
        "status": "sent",
        "reason": "",
        "provider": "ses",
        "provider_id": "ses-1",
        "created": "2027-01-15T08:00:00.000+00:00",
        "steps": [
            {"at": "2027-01-15T08:00:00.000+00:00", "what": "received", "by": "", "why": "from logto"},
            {"at": "2027-01-15T08:00:00.000+00:00", "what": "sent", "by": "ses", "why": ""},
        ],
    }


def test_an_unknown_name_has_no_trace(queries: LedgerQueries) -> None:
    assert list(find_traces(queries, new_id())) == []
    assert list(find_traces(queries, "re-404")) == []


def test_a_name_with_spaces_is_an_error(queries: LedgerQueries) -> None:
    with pytest.raises(InvalidInput):
        find_traces(queries, "the mail of yesterday")


def test_the_log_shows_the_newest_last(ledger: Ledger, queries: LedgerQueries) -> None:
    mails = [sent(ledger, message_at(NOW + n)) for n in range(8)]
    assert [trace.id for trace in latest(queries, 3)] == [mail.id for mail in mails[5:]]
    assert latest(queries, 9, since=NOW + 3600) == []


def test_the_log_is_filtered_by_tenant_and_status(ledger: Ledger, queries: LedgerQueries) -> None:
    mails = [sent(ledger, message_at(NOW + n, tenant="acme" if n % 2 else "default")) for n in range(8)]
    ledger.record(mails[1].id, Event(EventType.DELIVERED, "resend", "1", NOW))
    assert [trace.id for trace in latest(queries, 9, tenant="acme")] == [mail.id for mail in mails[1::2]]
    assert [trace.id for trace in latest(queries, 9, statuses=["delivered"])] == [mails[1].id]


def test_the_log_follows_each_change_of_status(ledger: Ledger, queries: LedgerQueries) -> None:
    earlier, mail, later = message_at(NOW - 60), message_at(NOW + 1), message_at(NOW + 3)
    sent(ledger, earlier)

    def changes() -> Iterator[bool]:
        ledger.claim(Parcel.of(mail), KEY, "token", NOW)
        yield False
        ledger.finish(mail.id, "token", Outcome(Status.SENT, "", "resend", "re-1"), NOW)
        yield False
        yield False
        ledger.record(mail.id, Event(EventType.DELIVERED, "resend", "1", NOW + 2))
        sent(ledger, later)
        yield False
        yield True

    pauses = changes()
    traces = follow(queries, pause=lambda: next(pauses), clock=lambda: NOW + 1)
    assert [(trace.id, trace.status) for trace in traces] == [
        (mail.id, "accepted"),
        (mail.id, "sent"),
        (mail.id, "delivered"),
        (later.id, "sent"),
    ]


@pytest.mark.parametrize(
    ("filters", "expected"), [({"statuses": ["failed"]}, 1), ({"tenant": "acme"}, 2), ({"tenant": "default"}, 0)]
)
def test_the_followed_log_is_filtered(
    ledger: Ledger, queries: LedgerQueries, filters: dict[str, Any], expected: int
) -> None:
    sent(ledger, message_at(NOW + 1, tenant="acme"))
    failed = message_at(NOW + 2, tenant="acme")
    ledger.claim(Parcel.of(failed), KEY, "token", NOW)
    ledger.finish(failed.id, "token", Outcome(Status.FAILED, "bad_key"), NOW)
    assert len(list(follow(queries, pause=lambda: True, clock=lambda: NOW, **filters))) == expected
