"""Asking again: one request is one mail, whoever repeats it, however often, and whatever died in between."""

import threading
import time
from typing import Any

import pytest

from mailroom.ledger.table import LEASE
from mailroom_ops.sandbox.faults import Fault, Kind
from tests.api.conftest import Desk, code, notice

DAY = 24 * 3600


class Clock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(desk: Desk) -> Clock:
    clock = Clock()
    desk.module.service.clock = desk.module.service.delivery.clock = clock
    return clock


def test_the_same_key_and_body_get_the_first_answer(desk: Desk) -> None:
    request = code(idempotency_key="order-1")
    first = desk.send(**request)

    assert desk.send(**dict(reversed(request.items()))) == first
    assert desk.invoke(request) == first.body
    assert len(desk.mails()) == 1
    assert len(desk.logged("Answered as before")) == 2


def test_the_key_may_come_as_a_header(desk: Desk) -> None:
    first = desk.http("POST", "/v1/emails", code(), idempotency_key="order-1")

    assert desk.send(**code(idempotency_key="order-1")).body == first.body
    assert desk.http("POST", "/v1/emails", code(idempotency_key="order-1"), idempotency_key="order-1") == first
    assert desk.http("POST", "/v1/emails", code(idempotency_key=None), idempotency_key="order-1") == first
    both = desk.http("POST", "/v1/emails", code(idempotency_key="order-1"), idempotency_key="order-2")
    assert (both.status, both.body["errors"][0]["field"]) == (422, "idempotency-key")


@pytest.mark.parametrize(
    "change",
    [{"to": "other@reader.example"}, {"kind": "sign-up-code"}, {"data": {"code": "1"}}, {"mode": "queued"}],
    ids=lambda change: next(iter(change)),
)
def test_the_same_key_for_another_mail_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    desk.send(**code(idempotency_key="order-1"))

    answer = desk.send(**(code(idempotency_key="order-1") | change))

    assert answer.status == 409
    assert "retry-after" not in answer.headers
    assert [error["field"] for error in answer.body["errors"]] == ["idempotency_key"]
    assert len(desk.mails()) == 1


def test_a_key_belongs_to_its_tenant(desk: Desk) -> None:
    ours = desk.send(**code(idempotency_key="order-1"))
    theirs = desk.send(**code(idempotency_key="order-1", tenant="acme"))

    assert ours.body["message_id"] != theirs.body["message_id"]
    assert len(desk.mails()) == 2


def test_a_key_is_kept_for_a_day(desk: Desk, clock: Clock) -> None:
    first = desk.send(**notice(idempotency_key="order-1"))
    clock.ahead = DAY - 60
    assert desk.send(**notice(idempotency_key="order-1")) == first

    clock.ahead = DAY + 60
    second = desk.send(**notice(idempotency_key="order-1"))

    assert second.body["message_id"] != first.body["message_id"]
    assert len(desk.mails()) == 2


def test_the_first_answer_stays_when_the_provider_has_told_more(desk: Desk) -> None:
    first = desk.send(**code(idempotency_key="order-1"))
    key = {"pk": {"S": f"message#{first.body['message_id']}"}}
    update = {
        "UpdateExpression": "SET #status = :status, #reason = :reason",
        "ExpressionAttributeNames": {"#status": "status", "#reason": "reason"},
        "ExpressionAttributeValues": {":status": {"S": "bounced"}, ":reason": {"S": "mailbox_full"}},
    }
    desk.aws.call("dynamodb", "UpdateItem", {"TableName": "ledger", "Key": key, **update})

    assert desk.send(**code(idempotency_key="order-1")) == first
    assert desk.http("GET", f"/v1/emails/{first.body['message_id']}").body["status"] == "bounced"


def test_a_failure_is_the_answer_of_its_key_and_a_new_key_tries_anew(desk: Desk) -> None:
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    first = desk.send(**code(idempotency_key="try-1"))
    assert first.status == 502

    assert desk.send(**code(idempotency_key="try-1")) == first
    assert desk.send(**code(idempotency_key="try-2")).body["status"] == "sent"


def test_a_twin_that_is_still_running_is_told_to_come_back(desk: Desk) -> None:
    request = code(idempotency_key="order-1")
    desk.sandbox.faults.add("resend", Kind.HOLD)
    running = threading.Thread(target=desk.module.handler, args=(request, desk))
    running.start()
    desk.sandbox.faults.wait_held()

    twin = desk.twin().send(**request)

    desk.sandbox.faults.release()
    running.join()
    assert (twin.status, twin.headers["retry-after"]) == (409, "1")
    after = desk.send(**request)
    assert (after.status, after.body["status"]) == (200, "sent")
    assert len(desk.mails()) == 1


def die(*_: Any) -> None:
    raise SystemExit


def test_what_a_dead_process_began_is_finished_under_the_same_name(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the provider took the mail and before that was written down."""
    request = code(idempotency_key="order-1")
    with monkeypatch.context() as dying:
        dying.setattr(desk.module.service.delivery.ledger, "finish", die)
        with pytest.raises(SystemExit):
            desk.invoke(request)
    (mail,) = desk.mails()
    assert desk.send(**request).status == 409

    clock.ahead = LEASE + 1
    answer = desk.send(**request)

    assert (answer.status, answer.body["status"]) == (200, "sent")
    assert answer.body["message_id"] == mail.message_id
    assert len(desk.mails()) == 1


@pytest.mark.parametrize("request_", [code(idempotency_key="order-1"), code()], ids=["with a key", "without"])
def test_a_process_that_died_before_the_mail_left_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(desk.module.service.delivery.ledger, "claim", die)
        with pytest.raises(SystemExit):
            desk.invoke(request_)
    assert desk.mails() == []

    assert desk.send(**request_).body["status"] == "sent"
    assert len(desk.mails()) == 1


def test_what_a_dead_process_left_lying_is_not_sent_after_its_time(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = code(idempotency_key="order-1", expires_in=30)
    with monkeypatch.context() as dying:
        dying.setattr(desk.module.service.delivery.ledger, "claim", die)
        with pytest.raises(SystemExit):
            desk.invoke(request)
    clock.ahead = 31

    answer = desk.send(**request)

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (200, "skipped", "expired")
    assert desk.mails() == []


def test_without_a_key_the_same_words_within_a_minute_are_one_mail(desk: Desk, clock: Clock) -> None:
    first = desk.send(**code())
    second = desk.send(**code(locale="de"))

    assert second.body == {"message_id": first.body["message_id"], "status": "skipped", "reason": "duplicate"}
    clock.ahead = 61
    assert desk.send(**code()).body["status"] == "sent"
    assert len(desk.mails()) == 2


def test_without_a_key_other_words_are_another_mail(desk: Desk) -> None:
    for request in (code(), code(value="KX5353"), notice(), notice(title="Your receipt"), code(to="b@reader.example")):
        assert desk.invoke(request)["status"] == "sent"
    assert len(desk.mails()) == 5


def test_without_a_key_a_failed_mail_can_be_asked_for_again_at_once(desk: Desk) -> None:
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    first = desk.send(**code())
    second = desk.send(**code())

    assert (first.body["status"], second.body["status"]) == ("failed", "sent")
    assert first.body["message_id"] != second.body["message_id"]


def test_without_a_key_a_mail_nobody_could_send_goes_once_there_is_a_provider(desk: Desk) -> None:
    key = desk.sandbox.settings("resend")["api_key"]
    desk.remove("providers/resend/api_key")
    assert desk.invoke(code())["reason"] == "email_not_configured"

    desk.put("providers/resend/api_key", key)
    desk.forget()

    assert desk.invoke(code())["status"] == "sent"


def test_an_older_code_is_not_sent_after_a_newer_one(desk: Desk, clock: Clock) -> None:
    clock.ahead = 5
    assert desk.invoke(code(value="222222"))["status"] == "sent"
    clock.ahead = 0
    assert desk.invoke(code(value="111111"))["reason"] == "superseded"


def test_a_queued_mail_asked_for_twice_is_sent_once(desk: Desk) -> None:
    request = code(mode="queued", idempotency_key="order-1")
    first, second = desk.send(**request), desk.send(**request)

    assert first == second
    outcomes = [desk.module.service.delivery.deliver(parcel, time.time() + 20) for parcel in desk.queued("codes")]
    assert [outcome.status for outcome in outcomes if outcome] == ["sent"]
    assert desk.send(**request) == first
    assert desk.queued("codes") == []
    assert len(desk.mails()) == 1


def test_without_a_key_a_queued_mail_that_is_on_its_way_is_a_duplicate(desk: Desk) -> None:
    first = desk.send(**code(mode="queued"))
    for parcel in desk.queued("codes"):
        desk.module.service.delivery.deliver(parcel, time.time() + 20)

    assert desk.send(**code(mode="queued")).body == {
        "message_id": first.body["message_id"],
        "status": "skipped",
        "reason": "duplicate",
    }


def test_nothing_that_is_kept_tells_what_was_asked(desk: Desk) -> None:
    desk.send(**code(idempotency_key="reader@reader.example-KX4242"))
    desk.send(**code(value="KX5353"))

    rows = [row for row in desk.rows() if row["pk"].startswith("asked#")]
    assert len(rows) == 2
    assert {name for row in rows for name in row} == {"pk", "message", "said", "created", "ttl"}
    for secret in ("KX4242", "KX5353", "reader@"):
        assert secret not in repr(desk.rows())


def test_a_request_of_another_process_is_known_here(desk: Desk) -> None:
    first = desk.send(**code(idempotency_key="order-1"))
    assert desk.twin().send(**code(idempotency_key="order-1")) == first


def test_the_answer_to_a_message_that_was_renewed_is_the_renewed_one(desk: Desk) -> None:
    """Two callers without a key ask again after the same failure: they get one mail."""
    desk.sandbox.faults.add("resend", Fault(Kind.STATUS, 422))
    desk.send(**code())
    second, third = desk.send(**code()), desk.send(**code())

    assert second.body["status"] == "sent"
    assert (third.body["status"], third.body["message_id"]) == ("skipped", second.body["message_id"])
    assert len(desk.mails()) == 1
