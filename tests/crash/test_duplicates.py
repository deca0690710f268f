"""SQS delivers twice, late, out of order and to two processes at once: each reader gets what is right, once."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from mailroom_ops.local.poller import to_event
from mailroom_ops.sandbox.faults import Fault, Kind
from tests.crash.stacks import Fragile
from tests.gate import AwsCall, Refusal


class Courier:
    """Keeps what the webhook puts on a queue, so that a test delivers it when, how often and in what order it likes."""

    def __init__(self, fragile: Fragile) -> None:
        self.fragile = fragile
        self.bodies: dict[str, str] = {}

    def keep(self, call: AwsCall) -> Refusal:
        body = str(call.body["MessageBody"])
        if message := json.loads(body).get("message"):  # not of the copy of a batch, which the tests here do not need
            self.bodies[message["id"]] = body
        md5 = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        return Refusal(200, json.dumps({"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": md5}).encode())

    def make_older(self, message_id: str, seconds: float) -> None:
        """Backdate a message."""
        body = json.loads(self.bodies[message_id])
        body["message"]["created_at"] -= seconds
        self.bodies[message_id] = json.dumps(body)

    def put_twice(self, message_id: str) -> None:
        """Put it on the queue twice, as SQS does once in a while."""
        entries = [{"Id": str(n), "MessageBody": self.bodies[message_id]} for n in range(2)]
        self.fragile.stack.aws("sqs").send_message_batch(QueueUrl=self.fragile.queue("CodesQueue"), Entries=entries)

    def hand_over(self, *message_ids: str) -> list[str]:
        """Deliver a batch and return the ids of what stays on the queue."""
        sent = [
            {"MessageId": message_id, "ReceiptHandle": "none", "Body": self.bodies[message_id], "MD5OfBody": ""}
            for message_id in message_ids
        ]
        arn = "arn:aws:sqs:eu-west-1:123456789012:mailroom-development-codes"
        outcome = self.fragile.stack.stack.invoke("deliver", json.dumps(to_event(sent, arn)).encode())
        assert not outcome.failed, outcome.payload
        return [item["itemIdentifier"] for item in json.loads(outcome.payload)["batchItemFailures"]]


@pytest.fixture
def courier(fragile: Fragile) -> Iterator[Courier]:
    made = Courier(fragile)
    with fragile.gate.rule(lambda call: call.operation == "SendMessage", "before", made.keep, times=10) as rule:
        yield made
        rule.left = 0


def status(fragile: Fragile, message_id: str) -> tuple[str, Any]:
    row = fragile.row(message_id)
    return row["status"], row.get("reason")


def test_a_message_that_sqs_delivers_twice_is_one_mail(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    message_id = fragile.post(to)

    courier.put_twice(message_id)

    assert fragile.settled(message_id)["status"] == "sent"
    assert len(fragile.mails(to)) == 1


def test_a_message_that_comes_again_long_after_is_one_mail(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    message_id = fragile.post(to)

    assert courier.hand_over(message_id) == []
    assert courier.hand_over(message_id, message_id) == []

    assert len(fragile.mails(to)) == 1
    assert status(fragile, message_id) == ("sent", None)


def test_two_processes_with_the_same_message_send_one_mail(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    message_id = fragile.post(to)
    faults = fragile.stack.sandbox.faults
    faults.add("resend", Fault(Kind.HOLD))
    results: list[list[str]] = []
    first = threading.Thread(target=lambda: results.append(courier.hand_over(message_id)))
    first.start()
    faults.wait_paused()

    second = courier.hand_over(message_id)
    faults.release()
    first.join()

    assert second == []  # it went back as a new message
    assert json.loads(courier.bodies[message_id])["postponed"] == 1
    assert results == [[]]
    assert courier.hand_over(message_id) == []
    assert len(fragile.mails(to)) == 1


def test_an_older_code_that_comes_after_a_newer_one_is_not_sent(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    older, newer = fragile.post(to, "111111"), fragile.post(to, "222222")
    courier.make_older(older, 31)

    assert courier.hand_over(newer) == []
    assert courier.hand_over(older) == []

    assert ["222222" in mail.text for mail in fragile.mails(to)] == [True]
    assert status(fragile, newer) == ("sent", None)
    assert status(fragile, older) == ("skipped", "superseded")


def test_an_older_code_is_not_sent_in_one_batch_with_a_newer_one_before_it(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    older, newer = fragile.post(to, "111111"), fragile.post(to, "222222")
    courier.make_older(older, 31)

    assert courier.hand_over(newer, older) == []

    assert ["222222" in mail.text for mail in fragile.mails(to)] == [True]


def test_two_codes_of_two_sessions_are_both_sent_in_order(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    older, newer = fragile.post(to, "111111"), fragile.post(to, "222222")

    assert courier.hand_over(newer, older) == []

    assert [mail.message_id for mail in reversed(fragile.mails(to))] == [older, newer]
    assert [status(fragile, message_id) for message_id in (older, newer)] == [("sent", None)] * 2


def test_a_request_that_logto_repeats_within_a_minute_is_one_mail(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    first, second = fragile.post(to, "111111"), fragile.post(to, "111111")

    assert courier.hand_over(first) == []
    assert courier.hand_over(second) == []

    assert len(fragile.mails(to)) == 1
    assert status(fragile, second) == ("skipped", "duplicate")


def test_a_code_for_another_reader_kind_or_tenant_supersedes_nothing(fragile: Fragile, courier: Courier) -> None:
    to, other = fragile.stack.address(), fragile.stack.address()
    ids = [
        fragile.post(to, "111111"),
        fragile.post(other, "222222"),
        fragile.post(to, "333333", type_="ForgotPassword"),
    ]

    assert courier.hand_over(*reversed(ids)) == []

    assert [status(fragile, id_) for id_ in ids] == [("sent", None)] * 3


def test_a_code_that_has_expired_is_not_sent(fragile: Fragile, courier: Courier) -> None:
    to = fragile.stack.address()
    message_id = fragile.post(to)
    parcel = json.loads(courier.bodies[message_id])
    parcel["message"]["expires_at"] = parcel["message"]["created_at"] - 1
    courier.bodies[message_id] = json.dumps(parcel)

    assert courier.hand_over(message_id) == []

    assert fragile.mails(to) == []
    assert status(fragile, message_id) == ("skipped", "expired")


def test_logto_gets_a_503_while_the_queue_cannot_be_reached(fragile: Fragile) -> None:
    down = Refusal()
    with fragile.gate.rule(lambda call: call.operation == "SendMessage", "before", lambda _: down, times=20):
        answer = fragile.stack.logto({"to": fragile.stack.address(), "type": "SignIn", "payload": {"code": "1"}})

    assert (answer.status, answer.text) == (503, "Email could not be sent. Please try again.")
    fragile.stack.line_with('"party":"sqs"', "webhook")


def test_one_failure_of_the_queue_is_retried_before_logto_gets_its_answer(fragile: Fragile) -> None:
    to = fragile.stack.address()
    with fragile.gate.rule(lambda call: call.operation == "SendMessage", "before", lambda _: Refusal()) as rule:
        message_id = fragile.post(to)

    assert rule.left == 0
    assert fragile.settled(message_id)["status"] == "sent"


@pytest.mark.thorough
def test_while_the_ledger_is_down_mail_waits_and_then_goes_once(fragile: Fragile) -> None:
    to = fragile.stack.address()
    refusals = 9
    with fragile.gate.rule(
        lambda call: call.operation == "UpdateItem", "before", lambda _: Refusal(), times=refusals
    ) as rule:
        message_id = fragile.post(to)
        fragile.stack.until(lambda: rule.left == 0)

    assert fragile.settled(message_id)["status"] == "sent"
    assert len(fragile.mails(to)) == 1
