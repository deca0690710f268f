"""Bursts: what arrives together leaves in few requests, and still once each."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery import batches
from mailroom.delivery.batch import Batch, split
from mailroom.delivery.batch_requests import CALLED_OFF
from mailroom.delivery.parallel import MAX_THREADS
from mailroom.errors import TemporaryFailure
from mailroom.feedback.suppression import Cause, Suppressions
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import LEASE_SECONDS
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process, end_leases, parts_of, take
from tests.factories import code

pytestmark = pytest.mark.usefixtures("soon")

PATIENCE_SECONDS = 20.0  # of one thread for another, on a busy machine: no test waits for its end


class Killed(BaseException):
    """The process ends here."""


def messages(number: int, **changes: Any) -> list[Message]:
    return [
        code(f"{n:06}", to=f"reader{n}@reader.example", **({"identity": f"identity {n}"} | changes))
        for n in range(number)
    ]


def enqueue(deliver: Process, sent: list[Message]) -> None:
    for message in sent:
        deliver.delivery.queue.put(Parcel.of(message))


def burst(deliver: Process, sent: list[Message]) -> list[str]:
    return deliver.receive(*map(Parcel.of, sent))


def kill_at(monkeypatch: pytest.MonkeyPatch, deliver: Process, operation: str, number: int, *, after: bool) -> None:
    """Kill the process before or after its `number`-th call of an operation: none of its threads makes another call."""
    call, calls, killed = deliver.aws.call, count(1), threading.Event()

    def counted(service: str, name: str, payload: Any, **options: Any) -> Any:
        is_last = name == operation and next(calls) == number
        if is_last and not after:
            killed.set()
        if killed.is_set():
            raise Killed
        answer = call(service, name, payload, **options)
        if is_last:
            killed.set()
            raise Killed
        return answer

    for part in parts_of(deliver):
        monkeypatch.setattr(part, "_aws", type("Calls", (), {"call": staticmethod(counted)}))


def die_at_write(
    monkeypatch: pytest.MonkeyPatch, deliver: Process, batch: Batch, number: int, *, after: bool = False
) -> None:
    """Have a process receive a batch, and die before or after its `number`-th write."""
    with monkeypatch.context() as patch:
        kill_at(patch, deliver, "UpdateItem", number, after=after)
        with pytest.raises(Killed):
            deliver.receive(batch.to_json())


def deliver_all(aws: Aws, sent: list[Message], bodies: list[str]) -> None:
    """Receive these in other processes, and everything that they queue."""
    for _ in range(10):
        if not bodies:
            return
        end_leases(aws, sent)
        for body in bodies:
            Process(aws).receive(body)
        bodies = take(aws)
    raise AssertionError("it never ends")


def arrived(sandbox: Sandbox) -> list[str]:
    return sorted(mail.message_id for mail in sandbox.inbox.all())


def ids(sent: list[Message]) -> list[str]:
    return sorted(message.id for message in sent)


def test_a_full_batch_and_those_waiting_behind_it_leave_in_one_request(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(35)
    enqueue(deliver, sent[10:])
    assert burst(deliver, sent[:10]) == []
    assert arrived(sandbox) == ids(sent)
    assert sandbox.requests["resend"] == 1
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}
    assert len({deliver.row(message)["provider_id"] for message in sent}) == 35


def test_the_copy_of_a_batch_that_was_sent_sends_nothing(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    burst(deliver, messages(10))
    (copy,) = take(aws)
    assert deliver.receive(copy) == []
    assert sandbox.requests["resend"] == 1
    assert take(aws) == []


def test_two_mails_are_sent_one_by_one(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(2)
    burst(deliver, sent)
    assert arrived(sandbox) == ids(sent)
    assert sandbox.requests["resend"] == 2
    assert take(aws) == []


def test_three_mails_share_a_request_and_wait_for_no_others(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent, others = messages(3), messages(4)
    enqueue(deliver, others)
    burst(deliver, sent)
    assert arrived(sandbox) == ids(sent)
    assert sandbox.requests["resend"] == 1
    assert len(take(aws)) == len(others) + 1


def test_more_than_one_batch_holds_goes_into_several(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10, data={"code": "1", "note": "x" * 30_000})
    assert burst(deliver, sent) == []
    bodies = take(aws)
    assert len(bodies) == 2
    assert all(len(body) < 256 * 1024 for body in bodies)
    deliver_all(aws, sent, bodies)
    assert arrived(sandbox) == ids(sent)
    assert sandbox.requests["resend"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.RATE_LIMIT, seconds=1),
        Fault(Kind.STATUS, 503),
        Fault(Kind.RESET_BEFORE_BODY),
        Fault(Kind.RESET_AFTER_ACCEPT),
        Fault(Kind.GARBAGE),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_batch_that_met_trouble_is_sent_again_as_a_whole(
    deliver: Process, aws: Aws, sandbox: Sandbox, fault: Fault
) -> None:
    sent = messages(12)
    enqueue(deliver, sent[10:])
    sandbox.faults.add("resend", fault)
    burst(deliver, sent[:10])
    assert {deliver.row(message)["status"] for message in sent} == {"accepted"}
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_one_bad_address_does_not_hold_up_the_others(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10)
    body = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field"}
    sandbox.faults.add("resend", Fault(Kind.REPLY, 422, body=json.dumps(body)), 2)  # the batch, and its first mail
    burst(deliver, sent)
    copy, *alone = take(aws)
    deliver_all(aws, sent, [copy, *alone])
    assert sorted(deliver.row(message)["status"] for message in sent) == ["failed"] + ["sent"] * 9
    assert len(arrived(sandbox)) == 9


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("operation", "number"),
    [
        ("SendMessage", 1),  # the copy of the batch
        ("DeleteMessageBatch", 1),  # its records leave the queue
        ("UpdateItem", 1),  # claims
        ("UpdateItem", 7),
        ("UpdateItem", 20),  # standings
        ("UpdateItem", 25),  # outcomes
        ("UpdateItem", 36),
    ],
)
def test_a_batch_survives_a_crash_at_each_step_without_a_copy(
    deliver: Process,
    aws: Aws,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    number: int,
    after: bool,
) -> None:
    sent = messages(12)
    enqueue(deliver, sent[10:])
    kill_at(monkeypatch, deliver, operation, number, after=after)
    with pytest.raises(Killed):
        burst(deliver, sent[:10])
    bodies = [Parcel.of(message).to_json() for message in sent[:10]] + take(aws)
    deliver_all(aws, sent, [*bodies, *[Parcel.of(message).to_json() for message in sent[10:]]])
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def watch_ledger(monkeypatch: pytest.MonkeyPatch, deliver: Process, before: Callable[[str, Any], None]) -> None:
    """Have a function look at each call of the ledger, before it is made."""
    call = deliver.aws.call

    def watched(service: str, operation: str, payload: Any, **options: Any) -> Any:
        before(operation, payload)
        return call(service, operation, payload, **options)

    monkeypatch.setattr(deliver.delivery.ledger, "_aws", type("Calls", (), {"call": staticmethod(watched)}))


def test_the_messages_of_a_batch_are_claimed_and_recorded_at_the_same_time(
    deliver: Process, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, together = messages(10), threading.Barrier(MAX_THREADS)

    def meet(operation: str, payload: Any) -> None:
        if operation == "UpdateItem" and payload["Key"]["pk"]["S"].startswith("message#"):
            together.wait(PATIENCE_SECONDS)  # else this ends in an error

    watch_ledger(monkeypatch, deliver, meet)
    assert burst(deliver, sent) == []
    assert arrived(sandbox) == ids(sent)


def test_mails_recorded_before_the_ledger_fails_have_their_log_lines(
    deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, ends = messages(10), count(1)

    def fail_later(operation: str, payload: Any) -> None:
        if "#ended" in payload.get("ExpressionAttributeNames", {}) and next(ends) > 7:
            raise TemporaryFailure("dynamodb", "throttled")

    watch_ledger(monkeypatch, deliver, fail_later)
    burst(deliver, sent)
    recorded = [message.id for message in sent if deliver.row(message)["status"] == "sent"]
    assert len(recorded) == 7
    assert sorted(line["message_id"] for line in deliver.logged("Email sent successfully")) == sorted(recorded)


def test_records_leave_the_queue_only_when_the_copy_of_their_batch_is_on_it(
    deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, steps = messages(12), list[str]()
    enqueue(deliver, sent[10:])
    call = deliver.aws.call

    def recorded(service: str, operation: str, payload: Any, **options: Any) -> Any:
        steps.append(operation)
        return call(service, operation, payload, **options)

    monkeypatch.setattr(deliver.delivery.queue, "_aws", type("Calls", (), {"call": staticmethod(recorded)}))
    burst(deliver, sent[:10])
    assert [step for step in steps if step != "ReceiveMessage"] == ["SendMessage", "DeleteMessageBatch"]


def test_records_that_come_back_are_not_packed_into_a_second_request(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(10)
    sandbox.faults.add("resend", Fault(Kind.RESET_AFTER_ACCEPT))
    burst(deliver, sent)  # in doubt, and its acknowledgment is lost
    copies = take(aws)
    Process(aws).receive(*map(Parcel.of, sent))
    deliver_all(aws, sent, copies + take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_mail_of_a_batch_in_doubt_is_not_sent_alone(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10)
    sandbox.faults.add("resend", Fault(Kind.RESET_AFTER_ACCEPT))
    burst(deliver, sent)
    Process(aws).receive(Parcel.of(sent[0]))
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_mail_sent_alone_whose_record_was_lost_is_not_sent_in_a_batch(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(10)
    with monkeypatch.context() as patch:
        kill_at(patch, deliver, "UpdateItem", 3, after=False)  # its outcome
        with pytest.raises(Killed):
            deliver.receive(Parcel.of(sent[0]))
    end_leases(aws, sent[:1])
    Process(aws).receive(*map(Parcel.of, sent))
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_a_mail_that_another_process_has_leaves_its_batch_and_is_not_lost(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent, key = messages(10), deliver.delivery.settings.address_key()
    deliver.delivery.ledger.claim(Parcel.of(sent[3]), key, "a process that dies", time.time())
    burst(deliver, sent)
    assert arrived(sandbox) == ids([message for message in sent if message is not sent[3]])
    bodies = take(aws)
    assert [json.loads(body)["message"]["id"] for body in bodies if not Batch.from_json(body)] == [sent[3].id]
    deliver_all(aws, sent, bodies)
    assert arrived(sandbox) == ids(sent)


@pytest.mark.parametrize("passed", [0.0, LEASE_SECONDS + 1])
def test_a_returning_batch_loses_no_message_that_was_claimed_alone(
    deliver: Process, aws: Aws, sandbox: Sandbox, passed: float
) -> None:
    sent, key = messages(4), deliver.delivery.settings.address_key()
    batch = next(split(map(Parcel.of, sent)))
    deliver.delivery.ledger.claim(Parcel.of(sent[1]), key, "no answer came", time.time() - passed)
    deliver_all(aws, sent, [batch.to_json()])
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_a_message_that_sqs_delivers_twice_is_in_its_batch_once(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(9)
    burst(deliver, [*sent, sent[0]])
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_two_copies_of_a_batch_send_each_mail_and_record_none_that_never_left(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(10)
    batch = next(split(map(Parcel.of, sent)))
    die_at_write(monkeypatch, deliver, batch, 6)  # half of its mails are claimed
    deliver_all(aws, sent, [batch.to_json(), batch.to_json()])
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_a_request_that_never_left_takes_no_replaced_code_along(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(10, age=1)
    batch = next(split(map(Parcel.of, sent)))
    die_at_write(monkeypatch, deliver, batch, 20, after=True)  # each mail is claimed and checked
    newer = replace(code("999999", to=sent[0].to, identity="newer"), replaces_after=0.001)
    Process(aws).receive(Parcel.of(newer))
    deliver_all(aws, sent, [batch.to_json()])
    assert arrived(sandbox) == ids([newer, *sent[1:]])
    assert deliver.row(sent[0])["reason"] == "superseded"


def test_a_process_that_was_frozen_sends_no_request_that_was_called_off(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, ledger = messages(10), deliver.delivery.ledger
    decide, other = ledger.decide, Process(aws).delivery.ledger

    def late(request: str, decision: str, now: float, **options: str) -> str:
        assert other.decide(request, CALLED_OFF, now) == CALLED_OFF
        return decide(request, decision, now, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "decide", late)
        burst(deliver, sent)
    assert arrived(sandbox) == []
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_copy_with_a_part_of_a_request_does_not_repeat_it(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(6)
    batch = next(split(map(Parcel.of, sent)))
    die_at_write(monkeypatch, deliver, batch, 14)  # its request has left, no outcome is recorded
    end_leases(aws, sent)
    with monkeypatch.context() as patch:
        patch.setattr(batches, "LEASE_SECONDS", 1.0)
        assert Process(aws).receive(replace(batch, parcels=batch.parcels[:2]).to_json()) == []
    assert sandbox.requests["resend"] == 1
    deliver_all(aws, sent, [batch.to_json(), *take(aws)])
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_the_mails_of_a_refused_request_are_free_although_its_process_dies(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(6)
    batch = next(split(map(Parcel.of, sent)))
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    die_at_write(monkeypatch, deliver, batch, 17)  # some are free, the others still name the request
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_request_of_a_process_that_recorded_none_is_repeated(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent, ledger, key = messages(3), deliver.delivery.ledger, deliver.delivery.settings.address_key()
    batch = next(split(map(Parcel.of, sent)))
    request, past = f"{batch.id} resend t", time.time() - LEASE_SECONDS
    for parcel in batch.parcels[:2]:  # the third is free: two requests of one batch
        ledger.claim_for_batch(parcel, key, request, "t", past, "resend")
    deliver.receive(batch.to_json())
    assert arrived(sandbox) == ids(sent)
    assert [deliver.row(parcel.message)["batch"] == request for parcel in batch.parcels] == [True, True, False]


def test_expired_and_superseded_mails_are_left_out(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = [code("000001", age=700), code("000003"), code("000002", age=31)]
    sent += messages(8)
    burst(deliver, sent)
    assert [deliver.row(message).get("reason") for message in sent[:3]] == ["expired", None, "superseded"]
    assert arrived(sandbox) == ids([sent[1], *sent[3:]])


def test_two_live_codes_of_one_recipient_leave_in_the_order_of_their_creation(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    newer, older = code("222222"), code("111111", age=20)
    burst(deliver, [newer, older, *messages(8)])
    mails = [mail for mail in reversed(sandbox.inbox.all()) if mail.to == newer.to]
    assert [mail.message_id for mail in mails] == [older.id, newer.id]


def test_a_mail_that_fails_to_render_takes_no_other_along(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(10)
    compose = deliver.delivery.renderer.compose

    def fail(message: Message, *rest: Any) -> Any:
        if message.id == sent[4].id:
            raise KeyError("payload.")
        return compose(message, *rest)

    monkeypatch.setattr(deliver.delivery.renderer, "compose", fail)
    assert burst(deliver, sent) == []
    assert arrived(sandbox) == ids([message for message in sent if message is not sent[4]])
    (alone,) = [body for body in take(aws) if '"batch"' not in body]
    assert deliver.receive(alone) == ["0"]


def test_a_burst_for_a_provider_without_a_batch_call_is_sent_one_by_one(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    put(aws, "senders/acme/auth", '{"providers": ["sendgrid"]}')
    for name, value in sandbox.settings("sendgrid").items():
        put(aws, f"providers/sendgrid/{name}", value)
    sent = [*messages(5), *messages(15, tenant="acme", identity="")]
    enqueue(deliver, sent[10:])
    burst(deliver, sent[:10])
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)
    assert {deliver.row(message)["status"] for message in sent} == {"sent"}


def test_a_batch_for_which_no_time_is_left_goes_back_as_new(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    batch = next(split(map(Parcel.of, messages(10))))
    deliver.seconds = 5
    assert deliver.receive(batch.to_json()) == []
    assert [Batch.from_json(body) for body in take(aws)] == [batch]
    assert arrived(sandbox) == []


def test_a_batch_that_a_slow_ledger_claims_too_late_is_split(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, delivery, call, passed = messages(10), deliver.delivery, deliver.aws.call, [0.0]

    def slow(service: str, operation: str, payload: Any, **options: Any) -> Any:
        passed[0] += 2.0 if operation == "UpdateItem" else 0.0
        return call(service, operation, payload, **options)

    clock: Callable[[], float] = lambda: time.time() + passed[0]  # noqa: E731
    delivery.clock = delivery.dispatch.clock = clock
    with monkeypatch.context() as patched:
        patched.setattr(delivery.ledger, "_aws", type("Calls", (), {"call": staticmethod(slow)}))
        burst(deliver, sent)

    bodies = take(aws)
    copy, *parts = sorted((len(json.loads(body)["parcels"]) for body in bodies), reverse=True)
    assert copy == sum(parts) == 10
    assert len(parts) == 2
    deliver_all(aws, sent, bodies)
    assert arrived(sandbox) == ids(sent)


@pytest.mark.parametrize("reason", ["expired", "superseded"])
def test_a_mail_that_becomes_outdated_while_its_batch_is_checked_is_left_out(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    sent, delivery, call, passed = messages(10, age=1), deliver.delivery, deliver.aws.call, [0.0]
    checks = count(1)
    if reason == "expired":
        sent[0] = replace(sent[0], expires_at=time.time() + 5)
    newer = replace(code("999999", to=sent[0].to, identity="newer"), replaces_after=0.001)

    def slow(service: str, operation: str, payload: Any, **options: Any) -> Any:
        answer = call(service, operation, payload, **options)
        if operation == "UpdateItem" and next(checks) == len(sent):
            passed[0] = 8.0
            if reason == "superseded":
                Process(aws).receive(Parcel.of(newer))
        return answer

    delivery.clock = delivery.dispatch.clock = lambda: time.time() + passed[0]
    monkeypatch.setattr(delivery.ledger.recipients, "_aws", type("Calls", (), {"call": staticmethod(slow)}))
    deliver.receive(next(split(map(Parcel.of, sent))).to_json())
    deliver.seconds += passed[0]  # of the next invocation
    for body in take(aws):
        deliver.receive(body)
    assert deliver.row(sent[0])["reason"] == reason
    assert [name for name in arrived(sandbox) if name != newer.id] == ids(sent[1:])


def test_an_unreadable_record_stays_on_the_queue_when_a_burst_pulls_it(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]
    aws.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": "{}"})
    sent = messages(10)
    burst(deliver, sent)
    assert "{}" in take(aws)
    assert arrived(sandbox) == ids(sent)


def test_a_batch_of_the_form_before_this_one_is_taken_apart(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(3)
    parcels = [json.loads(Parcel.of(message).to_json()) | {"attempt": 1} for message in sent]
    for parcel in parcels:
        for name in ("requests", "postponed", "alone", "settled", "seal"):
            del parcel[name]
    deliver.receive(json.dumps({"crate": "id", "lane": "codes", "attempt": 0, "doubted": True, "parcels": parcels}))
    deliver_all(aws, sent, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_batch_in_doubt_whose_mails_expire_ends_as_unknown_not_as_skipped(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = messages(10)
    sandbox.faults.add("resend", Fault(Kind.RESET_AFTER_ACCEPT))
    burst(deliver, sent)
    later = Process(aws)
    clock: Callable[[], float] = lambda: sent[0].expires_at + 1  # noqa: E731
    later.delivery.clock = later.delivery.dispatch.clock = clock
    later.seconds = 900
    for body in take(aws):
        later.receive(body)
    assert {(deliver.row(message)["status"], deliver.row(message)["reason"]) for message in sent} == {
        ("unknown", "expired")
    }
    assert len(waiting(aws, "codes_dead_letter")) == 10
    assert arrived(sandbox) == ids(sent)


def test_a_burst_looks_up_all_its_recipients_in_one_request(
    deliver: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    sent, delivery = messages(10), deliver.delivery
    key = delivery.settings.address_key()
    recipient = keyed_hash(key, canonical(sent[3].to))
    suppressions = Suppressions(aws, "ledger")
    suppressions.add("default", recipient, sent[3].to, Cause.BOUNCE, dict.fromkeys(Lane, 30), "ses", time.time())
    reads: list[str] = []
    call = deliver.aws.call

    def counted(service: str, operation: str, payload: Any, **options: Any) -> Any:
        reads.extend([operation] if operation in ("GetItem", "BatchGetItem") else [])
        return call(service, operation, payload, **options)

    monkeypatch.setattr(delivery.ledger, "_aws", type("Calls", (), {"call": staticmethod(counted)}))
    burst(deliver, sent)

    assert {mail.message_id for mail in sandbox.inbox.all()} == {mail.id for mail in sent} - {sent[3].id}
    assert (deliver.row(sent[3])["status"], deliver.row(sent[3])["reason"]) == ("skipped", "suppressed")
    assert reads == ["BatchGetItem", "GetItem"]  # the second by the delivery of the one that is not sent
