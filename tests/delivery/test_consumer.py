"""Outages, crashes and hostile parcels: no message is lost, copied without bound, or takes another along."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.queue import Queue
from mailroom.delivery import consumer, parallel
from mailroom.delivery.batch import Batch, split
from mailroom.delivery.dispatch import Dispatch
from mailroom.delivery.seal import seal
from mailroom.errors import TemporaryFailure, UnknownOutcome
from mailroom.ledger.table import LEASE_SECONDS
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel
from mailroom.network.http import NoAnswer
from mailroom.providers import Receipt
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process, parts_of, take
from tests.factories import code, message


class Killed(BaseException):
    """The process ends here."""


class Relay:
    """A provider without idempotency; `fate` happens after it has accepted a mail."""

    name, idempotent = "smtp", False

    def __init__(self, fate: Callable[[], None] = lambda: None) -> None:
        self.accepted: list[str] = []
        self.fate = fate

    def send(self, email: Email, key: str) -> Receipt:
        self.accepted.append(key)
        self.fate()
        return Receipt(f"relay-{len(self.accepted)}")


def kill() -> None:
    raise Killed


def defect(*arguments: Any) -> Any:
    raise ZeroDivisionError


def hang() -> None:
    raise UnknownOutcome("smtp", "no_answer")


@pytest.fixture
def relay(aws: Aws, environment: pytest.MonkeyPatch) -> Relay:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp"]}')
    put(aws, "providers/smtp/host", "relay.example")
    return Relay()


def through(aws: Aws, relay: Relay) -> Process:
    """Return a new process whose SMTP relay is this one."""
    process = Process(aws)
    process.delivery.dispatch.providers["smtp"] = ({"host": "relay.example"}, relay)
    return process


def fail(monkeypatch: pytest.MonkeyPatch, process: Process, service: str) -> list[str]:
    """Make one service fail for a process; return the calls of the process to it."""
    call, calls = process.aws.call, list[str]()

    def failing(name: str, operation: str, payload: Any, **options: Any) -> Any:
        if name == service:
            calls.append(operation)
            raise TemporaryFailure(service, "away")
        return call(name, operation, payload, **options)

    for part in parts_of(process):
        monkeypatch.setattr(part, "_aws", type("Calls", (), {"call": staticmethod(failing)}))
    return calls


def end_lease(aws: Aws, sent: Message) -> None:
    past = {"UpdateExpression": "SET lease = :past", "ExpressionAttributeValues": {":past": {"N": "0"}}}
    key = {"pk": {"S": f"message#{sent.id}"}}
    aws.call("dynamodb", "UpdateItem", {"TableName": "ledger", "Key": key, **past})


def delayed(aws: Aws) -> Iterator[Parcel]:
    """Take the parcels off the codes queue whose time has not come yet."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        query = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        for found in aws.call("sqs", "ReceiveMessage", query).get("Messages", []):
            aws.call("sqs", "DeleteMessage", {"QueueUrl": url, "ReceiptHandle": found["ReceiptHandle"]})
            yield Parcel.from_json(found["Body"])


@pytest.mark.parametrize(("service", "most"), [("dynamodb", parallel.MAX_THREADS), ("ssm", 1)])
def test_an_outage_puts_messages_back_as_new_ones_and_is_met_once(
    deliver: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, service: str, most: int
) -> None:
    sent = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(9)]
    with monkeypatch.context() as patch:
        calls = fail(patch, deliver, service)
        assert deliver.receive(*(replace(Parcel.of(message), alone=True) for message in sent)) == []
    assert len(calls) <= most  # once by each thread, at the same time
    back = [parcel for _, parcel in zip(sent, delayed(aws), strict=False)]
    assert {(parcel.postponed, parcel.attempt) for parcel in back} == {(1, 0)}
    Process(aws).receive(*back)
    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)


def test_a_burst_meets_a_ledger_that_does_not_answer_once(
    deliver: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(9)]
    alone = [replace(Parcel.of(mail), alone=True) for mail in (code("1", age=60), code("2"))]
    calls = fail(monkeypatch, deliver, "dynamodb")
    assert deliver.receive(*map(Parcel.of, sent), *alone) == []
    assert len(calls) == 1


def test_a_message_is_put_back_in_one_call_and_none_for_the_others(
    deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def unanswered(service: str, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        calls.append(operation)
        raise NoAnswer

    monkeypatch.setattr(deliver.aws, "_post", unanswered)
    monkeypatch.setattr("mailroom.aws.client.PAUSES_SECONDS", (0, 0))
    sent = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(3)]
    assert deliver.receive(*map(Parcel.of, sent)) == ["0", "1", "2"]
    assert calls.count("SendMessage") == 1
    assert "ChangeMessageVisibility" not in calls


def test_a_call_that_aws_refuses_during_a_burst_holds_up_no_message(
    deliver: Process, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    sent = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(10)]
    put_one = deliver.delivery.queue.put

    def refuse_batches(queued: Parcel | Batch, delay: float = 0) -> None:
        if isinstance(queued, Batch):
            raise AwsError("sqs", "InvalidMessageContents", {})
        put_one(queued, delay)

    monkeypatch.setattr(deliver.delivery.queue, "put", refuse_batches)
    assert deliver.receive(*map(Parcel.of, sent)) == []
    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)


def test_a_message_that_the_ledger_refuses_holds_up_no_other(
    deliver: Process, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setattr(parallel, "MAX_THREADS", 1)
    refused, other = code("111111", age=1), code("222222", to="other@reader.example", identity="other")
    claim = deliver.delivery.ledger.claim

    def refuse(parcel: Parcel, *rest: Any) -> Any:
        if parcel.message.id == refused.id:
            raise AwsError("dynamodb", "ValidationException", {})
        return claim(parcel, *rest)

    monkeypatch.setattr(deliver.delivery.ledger, "claim", refuse)
    assert deliver.receive(Parcel.of(refused), Parcel.of(other)) == ["0"]
    assert [mail.message_id for mail in sandbox.inbox.all()] == [other.id]


def test_a_burst_leaves_one_by_one_while_the_queue_is_away(
    deliver: Process, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    sent = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(10)]
    calls = fail(monkeypatch, deliver, "sqs")
    assert deliver.receive(*map(Parcel.of, sent)) == []
    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)
    assert len(calls) == 1


@pytest.mark.usefixtures("soon")
def test_a_burst_that_meets_an_outage_is_repeated_soon(
    deliver: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    sent, delays, put_back = (
        [code(f"{n:06}", to=f"r{n}@reader.example") for n in range(3)],
        list[float](),
        Queue.put_back,
    )

    def recorded(queue: Queue, queued: Any, delay: float) -> None:
        delays.append(delay)
        put_back(queue, queued, 0)

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "put_back", recorded)
        fail(patch, deliver, "dynamodb")
        assert deliver.receive(*map(Parcel.of, sent)) == []
    assert delays == [1.0]
    for body in take(aws):
        Process(aws).receive(body)
    assert sorted(mail.message_id for mail in sandbox.inbox.all()) == sorted(message.id for message in sent)
    assert sandbox.requests["resend"] == 1


def test_a_defect_while_a_batch_is_sent_holds_up_no_other_message(
    deliver: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setattr(consumer, "COPY_DELAY_SECONDS", 0)
    packed = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(9)]
    alone = code("999999", to="alone@reader.example", identity="alone")
    with monkeypatch.context() as patch:
        patch.setattr(Dispatch, "send_batch", defect)
        assert deliver.receive(*map(Parcel.of, packed), replace(Parcel.of(alone), alone=True)) == []
    assert [mail.message_id for mail in sandbox.inbox.all()] == [alone.id]
    assert deliver.logged("Message stays on its queue")
    for sent in packed:
        end_lease(aws, sent)
    (copy,) = take(aws)
    Process(aws).receive(copy)
    assert {mail.message_id for mail in sandbox.inbox.all()} == {sent.id for sent in (*packed, alone)}


def test_a_message_waits_longer_with_each_postponement(deliver: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    fail(monkeypatch, deliver, "dynamodb")
    monkeypatch.setattr(deliver.delivery.queue, "put_back", lambda queued, delay=0: delays.append(delay))
    for postponed in range(6):
        deliver.receive(replace(Parcel.of(code()), postponed=postponed))
    assert delays == [1, 3, 10, 20, 20, 20]


def test_four_crashes_after_the_relay_accepted_make_two_copies_at_most(aws: Aws, relay: Relay) -> None:
    relay.fate = kill
    sent = code()
    for _ in range(5):
        try:
            through(aws, relay).receive(Parcel.of(sent))
        except Killed:
            end_lease(aws, sent)
    assert len(relay.accepted) == 2
    row = Process(aws).row(sent)
    assert (row["status"], row["provider"]) == ("unknown", "smtp")


def test_a_notice_through_a_relay_gets_no_second_copy_after_a_crash(aws: Aws, relay: Relay) -> None:
    relay.fate = kill
    sent = code(kind="organization-invitation")
    with pytest.raises(Killed):
        through(aws, relay).receive(Parcel.of(sent))
    end_lease(aws, sent)
    through(aws, relay).receive(Parcel.of(sent))
    assert len(relay.accepted) == 1
    assert Process(aws).row(sent)["status"] == "unknown"


def test_a_mail_whose_outcome_cannot_be_recorded_is_not_sent_again(
    aws: Aws, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, process = code(), through(aws, relay)
    monkeypatch.setattr(process.delivery.dispatch, "sleep", lambda seconds: None)
    process.seconds = 16  # time for two attempts to record it

    def cut_off() -> None:
        fail(monkeypatch, process, "dynamodb")

    relay.fate = cut_off
    assert process.receive(Parcel.of(sent)) == []
    settled = next(delayed(aws))
    end_lease(aws, sent)
    through(aws, relay).receive(settled)
    row = process.row(sent)
    assert (row["status"], row["provider_id"]) == ("sent", "relay-1")
    assert len(relay.accepted) == 1


def test_a_code_that_expires_while_the_first_provider_hangs_goes_to_no_second(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp", "resend"]}')
    put(aws, "providers/smtp/host", "relay.example")
    sent, relay = code(), Relay()
    process = through(aws, relay)

    def hang_until_it_expires() -> None:
        process.delivery.clock = lambda: sent.expires_at + 1
        hang()

    relay.fate = hang_until_it_expires
    process.receive(Parcel.of(sent))
    assert sandbox.inbox.all() == []
    assert (process.row(sent)["status"], process.row(sent)["reason"]) in [
        ("unknown", "expired"),
        ("skipped", "expired"),
    ]


def test_a_code_that_is_replaced_while_the_first_provider_hangs_goes_to_no_second(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    put(aws, "senders/default/auth", '{"from": "no-reply@example.com", "providers": ["smtp", "resend"]}')
    put(aws, "providers/smtp/host", "relay.example")
    older, newer, relay = code("111111", age=40), code("222222"), Relay()

    def hang_until_it_is_replaced() -> None:
        Process(aws).delivery.last_check(newer)
        hang()

    relay.fate = hang_until_it_is_replaced
    through(aws, relay).receive(Parcel.of(older))
    assert sandbox.inbox.all() == []
    assert (deliver.row(older)["status"], deliver.row(older)["reason"]) == ("unknown", "superseded")


def test_a_retry_of_a_replaced_code_is_not_sent(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    older, newer = code("111111", age=40), code("222222")
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    deliver.receive(Parcel.of(older))
    (retry,) = waiting(aws, "codes")
    deliver.delivery.dispatch.gates.clear()
    deliver.receive(Parcel.of(newer))
    deliver.receive(retry)
    assert [mail.message_id for mail in sandbox.inbox.all()] == [newer.id]
    assert (deliver.row(older)["status"], deliver.row(older)["reason"]) == ("skipped", "superseded")


def test_an_expired_retry_that_a_provider_may_have_is_unknown_not_skipped(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sandbox.faults.add("resend", Fault(Kind.RESET_AFTER_ACCEPT))
    sent = code()
    deliver.receive(Parcel.of(sent))
    (retry,) = waiting(aws, "codes")
    deliver.receive(replace(retry, message=replace(retry.message, expires_at=time.time() - 1)))
    assert (deliver.row(sent)["status"], deliver.row(sent)["reason"]) == ("unknown", "expired")


def test_a_message_that_fails_to_render_stays_and_holds_up_no_other(
    deliver: Process, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, sent = code(age=1), code("222222", to="other@reader.example", identity="other")
    compose = deliver.delivery.renderer.compose

    def fail(message: Message, *rest: Any) -> Any:
        if message.id == poison.id:
            raise KeyError("payload.")
        return compose(message, *rest)

    monkeypatch.setattr(deliver.delivery.renderer, "compose", fail)
    assert deliver.receive(Parcel.of(poison), Parcel.of(sent)) == ["0"]
    assert [mail.message_id for mail in sandbox.inbox.all()] == [sent.id]


def test_a_retry_is_the_same_mail_although_its_sender_has_changed(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    deliver.receive(Parcel.of(code()))
    (retry,) = waiting(aws, "codes")
    put(aws, "senders/default/auth", '{"from": "Other <other@example.com>"}')
    Process(aws).receive(retry)
    (mail,) = sandbox.inbox.all()
    assert "no-reply@example.com" in mail.from_


def test_an_expired_retry_is_skipped_also_while_its_gate_is_closed(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    sent = code()
    deliver.receive(Parcel.of(sent))
    (retry,) = waiting(aws, "codes")
    deliver.delivery.dispatch.gate("resend").closed_until = time.time() + 30
    deliver.receive(replace(retry, message=replace(retry.message, expires_at=time.time() - 1)))
    assert (deliver.row(sent)["status"], deliver.row(sent)["reason"]) == ("skipped", "expired")
    assert waiting(aws, "codes_dead_letter") == []


def test_a_code_that_expires_while_its_process_waits_for_a_gate_is_not_sent(deliver: Process, sandbox: Sandbox) -> None:
    sent, delivery = code(), deliver.delivery
    delivery.dispatch.gate("resend").closed_until = time.time() + 1.5
    delivery.dispatch.sleep = lambda seconds: setattr(delivery, "clock", lambda: sent.expires_at + 1)
    deliver.receive(Parcel.of(sent))
    assert sandbox.inbox.all() == []
    assert deliver.row(sent)["reason"] == "expired"


def test_an_older_code_that_arrives_with_its_successor_is_not_sent(deliver: Process, sandbox: Sandbox) -> None:
    older, newer = code("111111", age=40), code("222222")
    deliver.receive(Parcel.of(older), Parcel.of(newer))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [newer.id]


def test_a_mail_in_doubt_whose_lifetime_ends_is_unknown_not_failed(aws: Aws, relay: Relay) -> None:
    relay.fate = hang
    sent, process = replace(code(), expires_at=time.time() + 2), through(aws, relay)
    process.receive(Parcel.of(sent))
    assert process.row(sent)["status"] == "unknown"


def test_a_crash_before_a_retry_is_queued_loses_nothing(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    sent = code()
    with monkeypatch.context() as patch:
        patch.setattr(deliver.delivery.queue, "put", lambda queued, delay=0: kill())
        with pytest.raises(Killed):
            deliver.receive(Parcel.of(sent))
    end_lease(aws, sent)
    Process(aws).receive(Parcel.of(sent))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [sent.id]


def test_a_closed_gate_costs_no_attempt_and_no_ledger_row(deliver: Process, aws: Aws) -> None:
    deliver.delivery.dispatch.gate("resend").failed(time.time(), 30.0)
    sent = code()
    assert deliver.receive(Parcel.of(sent)) == []
    assert deliver.row(sent) == {}


def test_a_claim_that_another_process_holds_lets_the_message_come_back_as_new(deliver: Process, aws: Aws) -> None:
    sent = code()
    deliver.delivery.ledger.claim(Parcel.of(sent), deliver.delivery.settings.address_key(), "other", time.time())
    delays: list[float] = []
    deliver.delivery.queue.put_back = lambda queued, delay: delays.append(delay)  # type: ignore[method-assign]
    assert deliver.receive(Parcel.of(sent)) == []
    assert 20 < delays[0] <= 25


def test_a_hanging_account_comes_last_and_costs_its_neighbors_one_hang(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "MAX_THREADS", 1)
    put(aws, "senders/acme/auth", '{"from": "a@acme.example", "providers": ["smtp"]}')
    put(aws, "providers/smtp/host", "relay.example")
    relay = Relay(hang)
    process = through(aws, relay)
    process.delivery.dispatch.gate("smtp").hangs = 1
    acme = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}", tenant="acme", age=1) for n in range(4)]
    sent_before: list[list[str]] = []

    def look_and_hang() -> None:
        sent_before.append([mail.message_id for mail in sandbox.inbox.all()])
        hang()

    relay.fate = look_and_hang
    mine = code()
    process.receive(*map(Parcel.of, acme), Parcel.of(mine))
    assert sent_before[0] == [mine.id]


def test_a_mail_waits_for_one_of_another_tenant_not_for_all_that_are_older(
    deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "MAX_THREADS", 1)
    older = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}", age=1) for n in range(5)]
    newer = code("999999", to="reader@acme.example", tenant="acme")
    deliver.receive(*(replace(Parcel.of(message), alone=True) for message in [*older, newer]))
    newest_first = [mail.message_id for mail in sandbox.inbox.all()]
    assert newer.id in newest_first[-2:]


def test_the_copy_of_a_batch_waits_until_the_lease_ends_and_no_longer(
    deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = next(split([Parcel.of(code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}")) for n in range(3)]))
    delivery, passed, delays = deliver.delivery, LEASE_SECONDS - 4, list[float]()
    key = delivery.settings.address_key()
    for parcel in batch.parcels:
        delivery.ledger.claim_for_batch(parcel, key, f"{batch.id} resend t", "t", time.time() - passed, "resend")
    monkeypatch.setattr(delivery.queue, "put_back", lambda queued, delay=0: delays.append(delay))
    assert deliver.receive(batch.to_json()) == []
    assert delays == [pytest.approx(LEASE_SECONDS - passed, abs=1.5)]


def test_the_copy_of_a_batch_is_hidden_while_its_process_works(
    deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(deliver.delivery.queue, "put", lambda queued, delay=0: delays.append(delay))
    deliver.receive(*(Parcel.of(code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}")) for n in range(10)))
    assert delays == [LEASE_SECONDS]


def test_messages_with_text_of_their_own_need_a_seal_in_a_burst_too(deliver: Process, sandbox: Sandbox) -> None:
    now, text = time.time(), {"title": "Pay", "paragraphs": ["here"]}
    sent = [message(to=f"r{n}@reader.example", data=text, created_at=now, expires_at=now + 600) for n in range(10)]
    deliver.receive(*map(Parcel.of, sent))
    assert sandbox.inbox.all() == []


def test_a_rendered_parcel_without_a_valid_seal_is_not_sent(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = code()
    email = Email(Mailbox("no-reply@example.com"), sent.to, "Your bank", "<p>Pay here</p>", "Pay here")
    forged = Parcel.of(sent).next_attempt(email)
    assert deliver.receive(forged, seal(forged, "another key")) == []
    assert sandbox.inbox.all() == []
    assert deliver.row(sent)["reason"] == "not_sealed"
    assert waiting(aws, "codes_dead_letter") != []


def test_a_message_with_text_of_its_own_needs_a_seal(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    now = time.time()
    sent = message(data={"title": "Pay", "paragraphs": ["here"]}, created_at=now, expires_at=now + 600)
    deliver.receive(Parcel.of(sent))
    assert sandbox.inbox.all() == []
    deliver.delivery.enqueue(Parcel.of(sent))
    (sealed,) = waiting(aws, "notices")
    forged = replace(sealed, message=replace(sealed.message, id=sent.id[::-1], data={"title": "other"}))
    deliver.receive(forged)
    assert sandbox.inbox.all() == []


def test_a_notice_of_an_event_needs_a_seal_only_for_text(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    now, event = time.time(), {"event": "password-changed"}
    times = {"kind": "security-notice", "created_at": now, "expires_at": now + 600}
    notice = message(data=event | {"request": {"ip": "203.0.113.9"}}, **times)
    forged = [message(data=event | {field: "Pay here"}, **times) for field in ("title", "paragraphs", "facts", "link")]
    for sent in (notice, *forged, message(data={"event": "account-frozen"}, **times)):
        deliver.receive(Parcel.of(sent))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [notice.id]


def test_a_tenants_own_code_lifetime_is_shown_and_kept(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    put(aws, "senders/acme/auth", '{"from": "a@acme.example", "code_lifetime_minutes": 2}')
    put(aws, "senders/slow/auth", '{"from": "s@slow.example", "code_lifetime_minutes": 30}')
    fresh = code("111111", tenant="acme", locales=("en",), has_default_lifetime=True, age=60)
    dead = code("222222", tenant="acme", to="b@reader.example", identity="2", has_default_lifetime=True, age=121)
    slow = code("333333", tenant="slow", locales=("en",), to="c@reader.example", has_default_lifetime=True, age=900)
    known = code("444444", tenant="acme", locales=("en",), to="d@reader.example", age=121)
    deliver.receive(*map(Parcel.of, (fresh, dead, slow, known)))
    texts = {mail.message_id: mail.text for mail in sandbox.inbox.all()}
    assert set(texts) == {fresh.id, slow.id, known.id}
    assert "Valid for 2 minutes." in texts[fresh.id]
    assert "Valid for 30 minutes." in texts[slow.id]
    assert "Valid for 10 minutes." in texts[known.id]  # its source knows it


def test_an_organization_has_its_own_sender_and_brand(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    put(aws, "senders/acme/auth", '{"from": "a@acme.example", "organizations": {"n": {"from": "N <n@acme.example>"}}}')
    put(aws, "brands/acme", '{"name": "Acme", "organizations": {"n": {"name": "North"}}}')
    data = {"code": "111111", "organization": {"id": "n", "name": "Anything"}}
    deliver.receive(Parcel.of(code(tenant="acme", locales=("en",), data=data)))
    (mail,) = sandbox.inbox.all()
    assert mail.from_ == "N <n@acme.example>"
    assert "This is an automatic email from North." in mail.text


def test_an_operator_may_give_a_sealed_message_more_time(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    now = time.time()
    sent = message(data={"title": "Hello", "paragraphs": ["there"]}, created_at=now, expires_at=now + 600)
    deliver.delivery.enqueue(Parcel.of(sent))
    (sealed,) = waiting(aws, "notices")
    deliver.receive(replace(sealed, message=replace(sealed.message, expires_at=now + 7200)))
    assert [mail.message_id for mail in sandbox.inbox.all()] == [sent.id]


def test_a_parcel_of_the_form_before_this_one_is_still_read() -> None:
    values = json.loads(Parcel.of(code()).to_json())
    for name in ("requests", "postponed", "alone", "settled", "seal"):
        del values[name]
    assert Parcel.from_dict(values).requests == 0
