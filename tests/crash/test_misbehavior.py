"""Resend misbehaves in every way there is: the mail is sent exactly once, and the ledger has its outcome."""

import pytest

from mailroom_ops.sandbox.faults import Fault, Kind
from tests.crash.stacks import Watched


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        pytest.param(Fault(Kind.RATE_LIMIT, seconds=1), "rate_limited", id="429"),
        pytest.param(Fault(Kind.STATUS, status=500), "http_500", id="500"),
        pytest.param(Fault(Kind.STATUS, status=503), "http_503", id="503"),
        pytest.param(Fault(Kind.REPLY, status=502, body="<html>Bad Gateway</html>"), "http_502", id="502-html"),
        pytest.param(Fault(Kind.GARBAGE), "garbage", id="garbage"),
        pytest.param(Fault(Kind.RESET_BEFORE_BODY), "no_answer", id="reset-before-the-body"),
        pytest.param(Fault(Kind.RESET_AFTER_ACCEPT), "no_answer", id="reset-after-it-took-the-mail"),
    ],
)
def test_the_result_is_one_mail_with_a_complete_timeline(watched: Watched, fault: Fault, answer: str) -> None:
    to = watched.stack.address()
    watched.stack.sandbox.faults.add("resend", fault)

    message_id = watched.post(to)
    row = watched.settled(message_id)

    (mail,) = watched.mails(to)
    assert (row["status"], row["provider"], row["provider_id"]) == ("sent", "resend", mail.id)
    first, second, end = row["timeline"]
    assert [(entry["provider"], entry["answer"]) for entry in (first, second)] == [
        ("resend", answer),
        ("resend", "accepted"),
    ]
    assert end["status"] == "sent"


@pytest.mark.thorough
def test_a_provider_that_never_answers_sends_one_mail_whether_it_took_it_or_not(watched: Watched) -> None:
    readers = [watched.stack.address(), watched.stack.address()]
    for kind in (Kind.HANG, Kind.HANG_AFTER_ACCEPT):
        watched.stack.sandbox.faults.add("resend", kind)

    ids = [
        watched.post(readers[0]),
        watched.post(readers[1], type_="OrganizationInvitation", link="https://example.com/"),
    ]
    rows = [watched.settled(message_id) for message_id in ids]

    assert [len(watched.mails(to)) for to in readers] == [1, 1]
    assert [[entry.get("answer") for entry in row["timeline"][:-1]] for row in rows] == [["no_answer", "accepted"]] * 2


@pytest.mark.thorough
def test_several_failures_in_a_row_are_retried_until_it_goes(watched: Watched) -> None:
    to = watched.stack.address()
    watched.stack.sandbox.faults.add("resend", Fault(Kind.STATUS, status=503), count=2)

    row = watched.settled(watched.post(to))

    assert len(watched.mails(to)) == 1
    assert [entry["answer"] for entry in row["timeline"][:-1]] == ["http_503", "http_503", "accepted"]


def test_a_refusal_is_final_and_reported(watched: Watched) -> None:
    to = watched.stack.address()
    refusal = '{"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}'
    watched.stack.sandbox.faults.add("resend", Fault(Kind.REPLY, status=422, body=refusal))

    row = watched.settled(watched.post(to), "Email failed")

    assert watched.mails(to) == []
    assert (row["status"], row["reason"]) == ("failed", "invalid_recipient")


def test_a_slow_code_does_not_hold_up_a_notice(watched: Watched) -> None:
    slow, quick = watched.stack.address(), watched.stack.address()
    faults = watched.stack.sandbox.faults
    faults.add("resend", Fault(Kind.HOLD))

    waiting = watched.post(slow)
    faults.wait_paused()
    notice = watched.post(quick, type_="OrganizationInvitation", link="https://example.com/join?t=1")

    assert watched.stack.mail_to(quick).message_id == notice
    assert watched.mails(slow) == []
    faults.release()
    assert watched.stack.mail_to(slow).message_id == waiting
