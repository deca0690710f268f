"""The ledger on a real table: who may work on a message, and what is older than what."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import LEASE, Holder, Ledger, Standing
from mailroom.model.message import Message, Parcel, content_identity, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from tests.factories import KEY, NOW, row


@pytest.fixture
def ledger(aws: Aws) -> Ledger:
    table = {
        "TableName": "ledger",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    aws.call("dynamodb", "CreateTable", table)
    return Ledger(aws, "ledger")


def ledger_code(value: str, *, at: float = NOW, kind: str = "sign-in-code", to: str = "ada@example.com") -> Message:
    data = {"code": value}
    identity = content_identity("default", to, kind, data)
    return Message(new_id(), "default", kind, to, data, at, at + 600, "logto", identity=identity)


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
    assert ledger.claim(parcel, KEY, "second", NOW + LEASE + 1).holder is Holder.US


def test_a_finished_message_is_never_claimed_again(ledger: Ledger) -> None:
    parcel = Parcel.of(ledger_code("111111"))
    ledger.claim(parcel, KEY, "first", NOW)
    ledger.finish(parcel.message.id, "first", Outcome(Status.SENT, provider="resend", provider_id="re-1"), NOW)
    assert ledger.claim(parcel, KEY, "second", NOW + LEASE + 1).holder is Holder.NONE


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
    ledger.claim(parcel, KEY, "quick", NOW + LEASE + 1)
    ledger.finish(parcel.message.id, "quick", Outcome(Status.SENT), NOW)
    ledger.finish(parcel.message.id, "slow", Outcome(Status.FAILED), NOW)
    assert row(aws, "ledger", f"message#{parcel.message.id}")["status"] == "sent"


def test_a_row_tells_the_whole_story_and_nothing_private(ledger: Ledger, aws: Aws) -> None:
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


def test_nobody_without_the_key_can_guess_a_code_from_the_table(ledger: Ledger, aws: Aws) -> None:
    message = ledger_code("424242")
    ledger.mark_latest(message, KEY, NOW)
    rows = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    assert rows
    assert message.identity not in json.dumps(rows)


@pytest.mark.parametrize(
    ("seconds", "standing"),
    [(0, Standing.CURRENT), (5, Standing.CURRENT), (29, Standing.CURRENT), (30, Standing.SUPERSEDED)],
)
def test_a_code_is_superseded_by_one_that_is_30_seconds_younger(
    ledger: Ledger, seconds: float, standing: Standing
) -> None:
    assert ledger.mark_latest(ledger_code("222222", at=NOW + seconds), KEY, NOW) is Standing.CURRENT
    assert ledger.mark_latest(ledger_code("111111", at=NOW), KEY, NOW) is standing


def test_a_late_older_code_does_not_hide_the_newest(ledger: Ledger) -> None:
    for age in (40, 20, 0):
        ledger.mark_latest(ledger_code(f"{age:06}", at=NOW - age), KEY, NOW)
    ledger.mark_latest(ledger_code("333333", at=NOW - 10), KEY, NOW)
    assert ledger.standing(ledger_code("000040", at=NOW - 40), KEY) is Standing.SUPERSEDED
    assert ledger.standing(ledger_code("000020", at=NOW - 20), KEY) is Standing.CURRENT


def test_a_code_replaces_all_before_it_or_none_where_its_caller_says_so(ledger: Ledger) -> None:
    ledger.mark_latest(replace(ledger_code("222222", at=NOW + 60), replaces_after=None), KEY, NOW)
    assert ledger.mark_latest(ledger_code("111111", at=NOW), KEY, NOW) is Standing.CURRENT
    ledger.mark_latest(replace(ledger_code("333333", at=NOW + 61), replaces_after=0.001), KEY, NOW)
    assert ledger.standing(ledger_code("222222", at=NOW + 60), KEY) is Standing.SUPERSEDED


def test_a_code_that_replaces_fewer_revives_none(ledger: Ledger) -> None:
    dead, live = ledger_code("111111", at=NOW), ledger_code("222222", at=NOW + 8)
    ledger.mark_latest(replace(ledger_code("333333", at=NOW + 5), replaces_after=0.001), KEY, NOW)
    for newer in (live, replace(ledger_code("444444", at=NOW + 9), replaces_after=None)):
        assert ledger.mark_latest(newer, KEY, NOW) is Standing.CURRENT
        assert ledger.standing(dead, KEY) is Standing.SUPERSEDED
    assert ledger.standing(live, KEY) is Standing.CURRENT


def test_a_late_code_that_replaces_all_before_it_does_so_still(ledger: Ledger) -> None:
    ledger.mark_latest(ledger_code("333333", at=NOW + 9), KEY, NOW)
    ledger.mark_latest(replace(ledger_code("222222", at=NOW + 5), replaces_after=0.001), KEY, NOW)
    assert ledger.standing(ledger_code("111111", at=NOW + 4), KEY) is Standing.SUPERSEDED
    assert ledger.standing(ledger_code("111111", at=NOW + 6), KEY) is Standing.CURRENT


def test_a_code_of_the_form_before_this_one_still_replaces_older_ones(ledger: Ledger, aws: Aws) -> None:
    ledger.mark_latest(ledger_code("222222", at=NOW + 30), KEY, NOW)
    (row,) = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    remove = {"UpdateExpression": "REMOVE dead_before", "Key": {"pk": row["pk"]}}
    aws.call("dynamodb", "UpdateItem", {"TableName": "ledger", **remove})
    assert ledger.mark_latest(ledger_code("111111", at=NOW), KEY, NOW) is Standing.SUPERSEDED
    assert ledger.mark_latest(ledger_code("333333", at=NOW + 1), KEY, NOW) is Standing.CURRENT


def test_a_second_tenant_has_its_own_codes(ledger: Ledger) -> None:
    ledger.mark_latest(replace(ledger_code("222222", at=NOW + 60), tenant="acme"), KEY, NOW)
    assert ledger.mark_latest(ledger_code("111111", at=NOW), KEY, NOW) is Standing.CURRENT


def test_a_retry_of_the_newest_code_is_still_the_newest(ledger: Ledger) -> None:
    message = ledger_code("222222")
    ledger.mark_latest(message, KEY, NOW)
    assert ledger.mark_latest(message, KEY, NOW + 30) is Standing.CURRENT


def test_the_same_code_again_within_a_minute_is_a_duplicate(ledger: Ledger) -> None:
    ledger.mark_latest(ledger_code("111111"), KEY, NOW)
    assert ledger.mark_latest(ledger_code("111111", at=NOW + 59), KEY, NOW) is Standing.DUPLICATE
    assert ledger.mark_latest(ledger_code("111111", at=NOW + 61), KEY, NOW) is Standing.CURRENT


def test_a_console_test_is_always_sent(ledger: Ledger) -> None:
    test = replace(ledger_code("000000", kind="generic-code"), identity="")
    assert ledger.mark_latest(test, KEY, NOW) is Standing.CURRENT
    assert ledger.mark_latest(replace(test, id=new_id()), KEY, NOW) is Standing.CURRENT


@pytest.mark.parametrize("other", [{"to": "bob@example.com"}, {"kind": "mfa-code"}])
def test_another_reader_or_kind_is_not_in_the_way(ledger: Ledger, other: dict[str, Any]) -> None:
    ledger.mark_latest(ledger_code("222222", at=NOW + 5), KEY, NOW)
    assert ledger.mark_latest(ledger_code("111111", **other), KEY, NOW) is Standing.CURRENT


def test_a_notification_is_not_superseded_by_a_newer_one(ledger: Ledger) -> None:
    ledger.mark_latest(ledger_code("2", at=NOW + 5, kind="notification"), KEY, NOW)
    assert ledger.mark_latest(ledger_code("1", kind="notification"), KEY, NOW) is Standing.CURRENT


def test_a_mail_that_was_sent_is_recorded_although_its_claim_was_lost(ledger: Ledger, aws: Aws) -> None:
    mail = ledger_code("111111")
    ledger.claim(Parcel.of(mail), KEY, "first", NOW)
    ledger.claim(Parcel.of(mail), KEY, "second", NOW + LEASE + 1)
    ledger.finish(mail.id, "first", Outcome(Status.SENT, "", "resend", "provider id"), NOW + LEASE + 2)
    assert row(aws, "ledger", f"message#{mail.id}")["status"] == "sent"
