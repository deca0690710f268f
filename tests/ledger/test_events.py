"""Events of providers in the ledger, in every order: before our own outcome, after it, late, repeated."""

import itertools

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.table import MAX_TIMELINE_ENTRIES, Holder, Ledger
from mailroom.model.event import Event, EventEffect, EventType, Reason
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.model.record import Record
from mailroom.providers import Receipt
from tests.factories import KEY, NOW, event, message, row, sent

DELIVERED, COMPLAINED = event(EventType.DELIVERED), event(EventType.COMPLAINED)
BOUNCED = event(EventType.BOUNCED, permanent=True, reason=Reason.NO_MAILBOX, detail="550 5.1.1")
ABSENCE_NOTE = event(EventType.BOUNCED, number=1)


def name_of(value: object) -> str | None:
    """Return the name of a parameter in the test's id."""
    return value.type if isinstance(value, Event) else None


def claimed(ledger: Ledger, mail: Message, token: str = "token") -> Message:
    """Record a message as one that a process is sending."""
    ledger.claim(Parcel.of(mail), KEY, token, NOW)
    return mail


def record(ledger: Ledger, mail: Message, reported: Event) -> tuple[EventEffect, Record]:
    """Record an event of a known message; return its effect and the message's record."""
    effect, updated = ledger.record(mail.id, reported)
    assert updated
    return effect, updated


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        (DELIVERED, "delivered"),
        (BOUNCED, "bounced"),
        (ABSENCE_NOTE, "bounced"),
        (COMPLAINED, "complained"),
        (event(EventType.SUPPRESSED, reason=Reason.PREVIOUS_BOUNCE), "failed"),
        (event(EventType.REJECTED), "failed"),
        (event(EventType.FAILED), "failed"),
        (event(EventType.DEFERRED), "sent"),
        (event(EventType.OPENED), "sent"),
        (event(EventType.CLICKED), "sent"),
        (event(EventType.UNSUBSCRIBED), "sent"),
    ],
    ids=name_of,
)
def test_an_event_moves_a_sent_message_to_its_status(ledger: Ledger, aws: Aws, reported: Event, status: str) -> None:
    mail = sent(ledger, message())
    effect, returned = record(ledger, mail, reported)
    assert (effect, returned.status) == (EventEffect.NEW, status)
    entry = row(aws, "ledger", f"message#{mail.id}")["timeline"][-1]
    assert (entry["event"], entry["provider"], entry["at"]) == (reported.type, "resend", reported.at)


def test_a_bounce_is_recorded_with_its_reason_and_codes(ledger: Ledger) -> None:
    _, updated = record(ledger, sent(ledger, message()), BOUNCED)
    assert updated.reason == "no_mailbox"
    assert updated.timeline[-1].detail == "550 5.1.1"


@pytest.mark.parametrize(
    "order",
    list(itertools.permutations([DELIVERED, COMPLAINED, event(EventType.DEFERRED)])),
    ids=lambda order: "-".join(reported.type for reported in order),
)
def test_the_final_status_does_not_depend_on_the_order_of_events(ledger: Ledger, order: tuple[Event, ...]) -> None:
    mail = sent(ledger, message())
    for reported in order:
        assert ledger.record(mail.id, reported)[0] is EventEffect.NEW
    effect, unchanged = record(ledger, mail, order[0])
    assert (effect, unchanged.status) == (EventEffect.REPEATED, "complained")
    assert len(unchanged.timeline) == 5


@pytest.mark.parametrize("later", [DELIVERED, ABSENCE_NOTE, event(EventType.FAILED)], ids=name_of)
def test_no_event_moves_a_status_back(ledger: Ledger, later: Event) -> None:
    mail = sent(ledger, message())
    ledger.record(mail.id, COMPLAINED)
    assert record(ledger, mail, later)[1].status == "complained"


def test_an_absence_note_does_not_undo_a_delivery_but_a_late_bounce_does(ledger: Ledger) -> None:
    mail = sent(ledger, message())
    ledger.record(mail.id, DELIVERED)
    assert record(ledger, mail, ABSENCE_NOTE)[1].status == "delivered"
    assert record(ledger, mail, BOUNCED)[1].status == "bounced"


@pytest.mark.parametrize("early", [DELIVERED, BOUNCED, event(EventType.DEFERRED)], ids=name_of)
def test_an_event_before_our_own_outcome_is_kept_and_so_is_the_outcome(ledger: Ledger, aws: Aws, early: Event) -> None:
    mail = claimed(ledger, message())
    assert ledger.record(mail.id, early)[0] is EventEffect.NEW
    attempt = Attempt(NOW, "resend", "accepted")
    ledger.finish(mail.id, "token", Outcome(Status.SENT, "", "resend", "re-1", (attempt,)), NOW)
    finished = row(aws, "ledger", f"message#{mail.id}")
    assert finished["status"] == (early.type.status or "sent")
    assert (finished["provider"], finished["provider_id"]) == ("resend", "re-1")
    steps = [entry.get("event") or entry.get("answer") or entry["status"] for entry in finished["timeline"]]
    assert steps == [early.type, "accepted", "sent"]


def test_a_mail_that_was_delivered_without_an_answer_is_not_sent_again(ledger: Ledger) -> None:
    parcel = Parcel.of(claimed(ledger, message(), "first"))
    ledger.release(parcel.message.id, "first", 1, Outcome(Status.ACCEPTED, "no_answer", retry_in=1))
    ledger.record(parcel.message.id, DELIVERED)
    assert ledger.claim(parcel.next_attempt(None), KEY, "second", NOW + 1).holder is Holder.NONE


def test_an_outcome_that_is_recorded_twice_is_in_the_timeline_once(ledger: Ledger, aws: Aws) -> None:
    mail = claimed(ledger, message())
    for _ in range(2):
        ledger.finish(mail.id, "token", Outcome(Status.SENT, "", "resend", "re-1"), NOW)
    assert len(row(aws, "ledger", f"message#{mail.id}")["timeline"]) == 1


def test_a_process_that_lost_its_claim_cannot_record_an_outcome(ledger: Ledger) -> None:
    mail = claimed(ledger, message(), "slow")
    ledger.claim(Parcel.of(mail), KEY, "quick", NOW + 60)
    ledger.record(mail.id, DELIVERED)
    ledger.finish(mail.id, "slow", Outcome(Status.FAILED), NOW + 61)
    current = ledger.read(mail.id)
    assert current
    assert current.status is Status.DELIVERED


def test_a_skipped_message_stays_skipped(ledger: Ledger) -> None:
    mail = claimed(ledger, message())
    ledger.finish(mail.id, "token", Outcome(Status.SKIPPED, "expired"), NOW)
    _, updated = record(ledger, mail, DELIVERED)
    assert (updated.status, updated.reason) == ("skipped", "expired")


def test_only_the_first_opening_of_a_mail_is_recorded(ledger: Ledger) -> None:
    mail = sent(ledger, message())
    assert ledger.record(mail.id, event(EventType.OPENED, number=1))[0] is EventEffect.NEW
    assert ledger.record(mail.id, event(EventType.OPENED, number=2))[0] is EventEffect.REPEATED


def test_a_provider_that_retries_for_days_does_not_fill_the_row(ledger: Ledger) -> None:
    mail = sent(ledger, message())
    for number in range(MAX_TIMELINE_ENTRIES + 5):
        ledger.record(mail.id, event(EventType.DEFERRED, number=number))
    effect, updated = record(ledger, mail, BOUNCED)
    assert (effect, updated.status) == (EventEffect.NEW, "bounced")
    assert len(updated.timeline) == MAX_TIMELINE_ENTRIES + 1


def test_an_event_about_an_unknown_message_creates_no_row(ledger: Ledger, aws: Aws) -> None:
    unknown = message()
    assert ledger.record(unknown.id, BOUNCED) == (EventEffect.UNKNOWN, None)
    assert row(aws, "ledger", f"message#{unknown.id}") == {}


def test_a_message_is_found_by_its_providers_id(ledger: Ledger) -> None:
    mail = sent(ledger, message(), "smtp", "0100-ses-1")
    assert ledger.find("0100-ses-1") == mail.id
    assert ledger.find("0100-ses-2") == ""


def test_a_message_is_found_by_an_id_that_is_too_long_for_the_index(ledger: Ledger) -> None:
    mail = sent(ledger, message(), "smtp", Receipt("é" * 3000).id)
    assert ledger.find("é" * 3000) == mail.id


def test_an_id_without_a_printable_character_is_of_no_message(ledger: Ledger) -> None:
    assert ledger.find("\x1f") == ""


def test_a_token_is_valid_for_one_body(ledger: Ledger) -> None:
    assert ledger.consume_token("token", b"one", NOW + 600, NOW)
    assert ledger.consume_token("token", b"one", NOW + 600, NOW + 1)
    assert not ledger.consume_token("token", b"other", NOW + 600, NOW + 1)
    assert ledger.consume_token("token", b"other", NOW + 1800, NOW + 1200)
