"""The ledger on a real table: who may work on a message, and what is older than what."""

from concurrent.futures import ThreadPoolExecutor

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import LEASE_SECONDS, Holder, Ledger
from mailroom.model.message import Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from tests.factories import KEY, NOW, row
from tests.ledger.helpers import ledger_code


def test_one_process_works_on_a_message_and_the_other_waits(ledger: Ledger) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    assert ledger.claim(parcel, KEY, "first", NOW).holder is Holder.US
    assert ledger.claim(parcel, KEY, "second", NOW + 1).holder is Holder.ANOTHER


def test_of_many_processes_at_once_one_works_on_a_message(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as processes:
        for number in range(40):
            parcel = Parcel.of(ledger_code(f"{number:06}"))
            claims = processes.map(
                lambda token, parcel=parcel: ledger.claim(parcel, KEY, token, NOW).holder, "abcdefgh"
            )
            assert sorted(claims) == [Holder.ANOTHER] * 7 + [Holder.US]


def test_a_claim_whose_answer_was_lost_can_be_made_again(ledger: Ledger) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    ledger.claim(parcel, KEY, "first", NOW)
    assert ledger.claim(parcel, KEY, "first", NOW).holder is Holder.US


def test_a_process_that_died_loses_its_claim_when_the_lease_ends(ledger: Ledger) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    ledger.claim(parcel, KEY, "dead", NOW)
    assert ledger.claim(parcel, KEY, "second", NOW + LEASE_SECONDS + 1).holder is Holder.US


def test_a_finished_message_is_never_claimed_again(ledger: Ledger) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    ledger.claim(parcel, KEY, "first", NOW)
    ledger.finish(parcel.message.id, "first", Outcome(Status.SENT, provider="resend", provider_id="re-1"), NOW)
    assert ledger.claim(parcel, KEY, "second", NOW + LEASE_SECONDS + 1).holder is Holder.NONE


def test_a_released_message_waits_for_its_next_try_and_not_for_an_older_one(ledger: Ledger) -> None:
    first = Parcel.of(ledger_code("111111"))
    ledger.claim(first, KEY, "a", NOW)
    tries = (Attempt(NOW, "resend", "rate_limit_exceeded"),)
    ledger.release(first.message.id, "a", 1, Outcome(Status.ACCEPTED, tries=tries, retry_in=1))
    assert ledger.claim(first, KEY, "b", NOW + 1).holder is Holder.NONE
    assert ledger.claim(first.next_attempt(None), KEY, "c", NOW + 1).holder is Holder.US


def test_who_lost_its_claim_cannot_write_an_end(ledger: Ledger, aws: Aws) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    ledger.claim(parcel, KEY, "slow", NOW)
    ledger.claim(parcel, KEY, "quick", NOW + LEASE_SECONDS + 1)
    ledger.finish(parcel.message.id, "quick", Outcome(Status.SENT), NOW)
    ledger.finish(parcel.message.id, "slow", Outcome(Status.FAILED), NOW)
    assert row(aws, "ledger", f"message#{parcel.message.id}")["status"] == "sent"


def test_a_row_has_the_whole_timeline_and_nothing_private(ledger: Ledger, aws: Aws) -> None:
    parcel = Parcel.of(ledger_code("424242", to="ada.lovelace@example.com"))
    ledger.claim(parcel, KEY, "t", NOW)
    tries = (Attempt(NOW, "resend", "service_unavailable", error=TemporaryFailure), Attempt(NOW, "ses", "accepted"))
    ledger.finish(parcel.message.id, "t", Outcome(Status.SENT, "", "ses", "ses-1", tries), NOW + 2)
    found = row(aws, "ledger", f"message#{parcel.message.id}")
    assert (found["status"], found["provider"], found["provider_id"]) == ("sent", "ses", "ses-1")
    assert [entry.get("answer") or entry["status"] for entry in found["timeline"]] == [
        "service_unavailable",
        "accepted",
        "sent",
    ]
    assert found["to"] == "a•••@example.com"
    assert "424242" not in str(found)
    assert "lovelace" not in str(found)


def test_a_mail_that_was_sent_is_recorded_although_its_claim_was_lost(ledger: Ledger, aws: Aws) -> None:
    mail = ledger_code("111111")
    ledger.claim(Parcel.of(mail), KEY, "first", NOW)
    ledger.claim(Parcel.of(mail), KEY, "second", NOW + LEASE_SECONDS + 1)
    ledger.finish(mail.id, "first", Outcome(Status.SENT, "", "resend", "provider id"), NOW + LEASE_SECONDS + 2)
    assert row(aws, "ledger", f"message#{mail.id}")["status"] == "sent"
