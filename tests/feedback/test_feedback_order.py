"""In whatever order it comes: our own word that a mail was sent, and its provider's word of what became of it."""

import itertools

import pytest

from mailroom.aws.client import Aws, AwsError
from mailroom.ledger.table import LONGEST_TIMELINE, Claim, Heard, Ledger
from mailroom.model.event import Event, Reason, What
from mailroom.model.message import Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from tests.factories import KEY, NOW, message, row, sent


def event(what: What, number: int = 0, **facts: object) -> Event:
    return Event(what, "resend", f"{what} {number}", NOW + number, **facts)  # type: ignore[arg-type]


DELIVERED, COMPLAINED = event(What.DELIVERED), event(What.COMPLAINED)
BOUNCED = event(What.BOUNCED, permanent=True, reason=Reason.NO_MAILBOX, detail="550 5.1.1")
ABSENT = event(What.BOUNCED, 1)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (DELIVERED, "delivered"),
        (BOUNCED, "bounced"),
        (ABSENT, "bounced"),
        (COMPLAINED, "complained"),
        (event(What.SUPPRESSED, reason=Reason.PREVIOUS_BOUNCE), "failed"),
        (event(What.REJECTED), "failed"),
        (event(What.FAILED), "failed"),
        (event(What.DEFERRED), "sent"),
        (event(What.OPENED), "sent"),
        (event(What.CLICKED), "sent"),
        (event(What.UNSUBSCRIBED), "sent"),
    ],
    ids=lambda value: value.what if isinstance(value, Event) else value,
)
def test_a_report_moves_a_sent_mail_to_what_became_of_it(ledger: Ledger, aws: Aws, what: Event, status: str) -> None:
    said = sent(ledger, message())
    heard, found = ledger.record(said.id, what)
    assert (heard, found["status"]) == (Heard.NEWS, status)
    entry = row(aws, "ledger", f"message#{said.id}")["timeline"][-1]
    assert (entry["event"], entry["provider"], entry["at"]) == (what.what, "resend", what.at)


def test_a_bounce_tells_why_and_quotes_nobody(ledger: Ledger) -> None:
    _, found = ledger.record(sent(ledger, message()).id, BOUNCED)
    assert found["reason"] == "no_mailbox"
    assert found["timeline"][-1]["detail"] == "550 5.1.1"


@pytest.mark.parametrize(
    "order",
    list(itertools.permutations([DELIVERED, COMPLAINED, event(What.DEFERRED)])),
    ids=lambda order: "-".join(one.what for one in order),
)
def test_the_order_of_reports_changes_nothing(ledger: Ledger, order: tuple[Event, ...]) -> None:
    said = sent(ledger, message())
    for one in order:
        assert ledger.record(said.id, one)[0] is Heard.NEWS
    heard, found = ledger.record(said.id, order[0])
    assert (heard, found["status"], len(found["timeline"])) == (Heard.REPEATED, "complained", 5)


@pytest.mark.parametrize("later", [DELIVERED, ABSENT, event(What.FAILED)], ids=lambda one: one.what)
def test_no_report_leads_back(ledger: Ledger, later: Event) -> None:
    said = sent(ledger, message())
    ledger.record(said.id, COMPLAINED)
    assert ledger.record(said.id, later)[1]["status"] == "complained"


def test_an_absence_note_does_not_undo_a_delivery_but_a_late_refusal_does(ledger: Ledger) -> None:
    said = sent(ledger, message())
    ledger.record(said.id, DELIVERED)
    assert ledger.record(said.id, ABSENT)[1]["status"] == "delivered"
    assert ledger.record(said.id, BOUNCED)[1]["status"] == "bounced"


@pytest.mark.parametrize("what", [DELIVERED, BOUNCED, event(What.DEFERRED)], ids=lambda one: one.what)
def test_a_report_that_is_quicker_than_we_are_is_kept_and_so_is_our_own_word(
    ledger: Ledger, aws: Aws, what: Event
) -> None:
    said = message()
    ledger.claim(Parcel.of(said), KEY, "token", NOW)
    assert ledger.record(said.id, what)[0] is Heard.NEWS
    ledger.finish(
        said.id, "token", Outcome(Status.SENT, "", "resend", "re-1", (Attempt(NOW, "resend", "accepted"),)), NOW
    )
    found = row(aws, "ledger", f"message#{said.id}")
    assert found["status"] == (what.what.status or "sent")
    assert (found["provider"], found["provider_id"]) == ("resend", "re-1")
    assert [entry.get("event") or entry.get("answer") or entry["status"] for entry in found["timeline"]] == [
        what.what,
        "accepted",
        "sent",
    ]


def test_a_mail_that_was_delivered_unsaid_is_not_sent_again(ledger: Ledger) -> None:
    parcel = Parcel.of(message())
    ledger.claim(parcel, KEY, "first", NOW)
    ledger.release(parcel.message.id, "first", 1, Outcome(Status.ACCEPTED, "no_answer", retry_in=1))
    ledger.record(parcel.message.id, DELIVERED)
    assert ledger.claim(parcel.again(None), KEY, "second", NOW + 1) is Claim.DONE


def test_our_own_word_said_twice_is_said_once(ledger: Ledger, aws: Aws) -> None:
    said = message()
    ledger.claim(Parcel.of(said), KEY, "token", NOW)
    for _ in range(2):
        ledger.finish(said.id, "token", Outcome(Status.SENT, "", "resend", "re-1"), NOW)
    assert len(row(aws, "ledger", f"message#{said.id}")["timeline"]) == 1


def test_who_lost_its_claim_cannot_write_an_end_after_a_report_either(ledger: Ledger) -> None:
    said = message()
    ledger.claim(Parcel.of(said), KEY, "slow", NOW)
    ledger.claim(Parcel.of(said), KEY, "quick", NOW + 60)
    ledger.record(said.id, DELIVERED)
    with pytest.raises(AwsError):
        ledger.finish(said.id, "slow", Outcome(Status.FAILED), NOW + 61)


def test_a_mail_that_was_skipped_stays_skipped(ledger: Ledger) -> None:
    said = message()
    ledger.claim(Parcel.of(said), KEY, "token", NOW)
    ledger.finish(said.id, "token", Outcome(Status.SKIPPED, "expired"), NOW)
    _, found = ledger.record(said.id, DELIVERED)
    assert (found["status"], found["reason"]) == ("skipped", "expired")


def test_a_mail_is_opened_once_however_often_it_is(ledger: Ledger) -> None:
    said = sent(ledger, message())
    assert ledger.record(said.id, event(What.OPENED, 1))[0] is Heard.NEWS
    assert ledger.record(said.id, event(What.OPENED, 2))[0] is Heard.REPEATED


def test_a_provider_that_tries_for_days_does_not_fill_the_row(ledger: Ledger) -> None:
    said = sent(ledger, message())
    for number in range(LONGEST_TIMELINE + 5):
        ledger.record(said.id, event(What.DEFERRED, number))
    heard, found = ledger.record(said.id, BOUNCED)
    assert (heard, found["status"]) == (Heard.NEWS, "bounced")
    assert len(found["timeline"]) == LONGEST_TIMELINE + 1


def test_what_is_not_ours_makes_no_row(ledger: Ledger, aws: Aws) -> None:
    stranger = message()
    assert ledger.record(stranger.id, BOUNCED) == (Heard.UNKNOWN, {})
    assert row(aws, "ledger", f"message#{stranger.id}") == {}


def test_a_mail_is_found_by_the_name_its_provider_gave_it(ledger: Ledger) -> None:
    said = sent(ledger, message(), "smtp", "0100-ses-1")
    assert ledger.find("0100-ses-1") == said.id
    assert ledger.find("0100-ses-2") == ""


def test_a_token_is_good_for_one_body(ledger: Ledger) -> None:
    assert ledger.spend("token", b"one", NOW + 600, NOW)
    assert ledger.spend("token", b"one", NOW + 600, NOW + 1)
    assert not ledger.spend("token", b"other", NOW + 600, NOW + 1)
    assert ledger.spend("token", b"other", NOW + 1800, NOW + 1200)
