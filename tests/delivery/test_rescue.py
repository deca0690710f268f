"""Rescue: a code that its provider holds back goes out through the next one, once, and only where reports count."""

import time
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws, AwsError
from mailroom.delivery import consumer, handover, rescue
from mailroom.delivery.dispatch import MAX_REQUEST_SECONDS
from mailroom.delivery.seal import seal
from mailroom.ledger.table import Ledger
from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom.model.event import EventType, Reason
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Status
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import operations, put, waiting
from tests.delivery.process import Process, take
from tests.factories import code, event

CHAIN = ["resend", "postmark"]
RESCUE_AFTER = 30
SENDER = {"from": "Mailroom <no-reply@example.com>", "providers": CHAIN, "rescue_after": RESCUE_AFTER}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the delay of each check."""
    monkeypatch.setattr(handover, "CHECK_SECONDS", 0)


@pytest.fixture
def process(deliver: Process, aws: Aws, sandbox: Sandbox) -> Process:
    """Return a process with two providers, of which the first normally reports each delivery."""
    for name, value in sandbox.settings("postmark").items():
        put(aws, f"providers/postmark/{name}", value)
    put(aws, "senders/default/auth", SENDER)
    tally(aws, {"sent@other/resend": 100, "delivered<10@other/resend": 97})
    return deliver


def tally(aws: Aws, counts: dict[str, int]) -> None:
    """Write the counters of an earlier hour."""
    item = {"pk": {"S": f"tally#{EVERYONE}#{hour_of(time.time() - 7200)}#0"}}
    item |= {name: {"N": str(number)} for name, number in counts.items()}
    aws.call("dynamodb", "PutItem", {"TableName": "ledger", "Item": item})


def send(process: Process, aws: Aws, **fields: Any) -> tuple[Message, Parcel]:
    """Deliver a code; return its message, and the check of its delivery."""
    message = code(**fields)
    process.receive(Parcel.of(message))
    (body,) = take(aws)
    return message, Parcel.from_json(body)


def later(process: Process, check: Parcel, seconds: float = RESCUE_AFTER) -> Parcel:
    """Return a check as if its mail had been sent some seconds ago."""
    assert check.handover
    earlier = replace(check.handover, at=check.handover.at - seconds)
    return seal(replace(check, handover=earlier), process.delivery.settings.address_key())


def report(ledger: Ledger, message: Message, type_: EventType, **fields: Any) -> None:
    ledger.record(message.id, event(type_, message.id, **fields))


def copies(sandbox: Sandbox) -> list[str]:
    """Return the provider of each copy, the first one first."""
    return [mail.provider for mail in reversed(sandbox.inbox.all())]


def test_a_code_without_a_report_goes_through_the_next_provider_once(
    process: Process, aws: Aws, sandbox: Sandbox
) -> None:
    message, check = send(process, aws)
    for _ in range(3):
        assert process.receive(later(process, check)) == []
    assert copies(sandbox) == CHAIN
    first, second = sandbox.inbox.all()
    assert (first.subject, first.text, first.html) == (second.subject, second.text, second.html)
    assert take(aws) == []
    row = process.row(message)
    assert (row["status"], row["provider"], row["rescued"]) == ("sent", "resend", "postmark")
    answers = [(entry.get("provider"), entry.get("answer"), entry.get("detail")) for entry in row["timeline"]]
    assert answers[-2:] == [("postmark", "rescue", "no_report"), ("postmark", "accepted", None)]
    assert '"reason":"rescued"' in process.log.getvalue()


@pytest.mark.parametrize("when", ["before its claim", "after its claim"])
def test_a_rescue_that_runs_out_of_time_is_checked_again(
    process: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    message, check = send(process, aws)
    delivery, claim = process.delivery, process.delivery.ledger.claim_rescue
    deadline = delivery.clock() + (MAX_REQUEST_SECONDS + 5 if when == "after its claim" else 5)

    def slow_claim(*arguments: Any) -> bool:
        is_ours = claim(*arguments)
        patch.setattr(delivery.dispatch, "clock", lambda: deadline - 5)
        return is_ours

    with monkeypatch.context() as patch:
        patch.setattr(delivery.ledger, "claim_rescue", slow_claim)
        assert rescue.check(delivery, later(process, check), deadline) is None
    assert copies(sandbox) == ["resend"]
    (again,) = take(aws)
    Process(aws).receive(again)
    assert copies(sandbox) == CHAIN
    assert process.row(message)["rescued"] == "postmark"


def test_a_code_is_not_rescued_before_its_time(process: Process, aws: Aws, sandbox: Sandbox) -> None:
    _, check = send(process, aws)
    process.receive(check)
    assert copies(sandbox) == ["resend"]
    assert len(take(aws)) == 1, "it is checked again"


@pytest.mark.parametrize("type_", [EventType.DELIVERED, EventType.COMPLAINED, EventType.REJECTED])
def test_a_code_with_a_final_report_is_not_rescued(
    process: Process, aws: Aws, sandbox: Sandbox, type_: EventType
) -> None:
    message, check = send(process, aws)
    report(process.delivery.ledger, message, type_)
    process.receive(later(process, check))
    assert copies(sandbox) == ["resend"]
    assert take(aws) == []


@pytest.mark.parametrize(
    ("type_", "fields", "is_rescued"),
    [
        (EventType.DEFERRED, {}, True),
        (EventType.BOUNCED, {"reason": Reason.BLOCKED}, True),
        (EventType.BOUNCED, {"reason": Reason.MAILBOX_FULL}, False),
        (EventType.BOUNCED, {"reason": Reason.AUTO_REPLY}, False),
        (EventType.BOUNCED, {"reason": Reason.BLOCKED, "permanent": True}, False),
    ],
)
def test_a_reported_deferral_or_avoidable_bounce_rescues_a_code_at_once(
    process: Process, aws: Aws, sandbox: Sandbox, type_: EventType, fields: dict[str, Any], is_rescued: bool
) -> None:
    tally(aws, {})  # nothing is known of the provider, and need not be
    message, check = send(process, aws)
    report(process.delivery.ledger, message, type_, **fields)
    process.receive(check)
    assert copies(sandbox) == (CHAIN if is_rescued else ["resend"])


def test_a_rescued_code_that_bounced_is_delivered_by_the_second_copy(process: Process, aws: Aws) -> None:
    message, check = send(process, aws)
    ledger = process.delivery.ledger
    report(ledger, message, EventType.BOUNCED, reason=Reason.BLOCKED)
    process.receive(check)
    assert process.row(message)["status"] == "sent"
    ledger.record(message.id, replace(event(EventType.DELIVERED, message.id), provider="postmark"))
    assert process.row(message)["status"] == "delivered"
    report(ledger, message, EventType.BOUNCED, number=1, permanent=True)
    assert process.row(message)["status"] == "delivered"


@pytest.mark.parametrize("cause", [EventType.BOUNCED, EventType.DEFERRED])
def test_the_delivery_of_a_second_copy_counts_whenever_the_first_one_bounced(
    process: Process, aws: Aws, cause: EventType, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, check = send(process, aws)
    ledger = process.delivery.ledger
    report(ledger, message, cause, reason=Reason.BLOCKED)

    def end_rescue(*arguments: Any, **named: Any) -> None:
        report(ledger, message, EventType.BOUNCED, number=1, permanent=True)
        ledger.record(message.id, replace(event(EventType.DELIVERED, message.id), provider="postmark"))
        Ledger.end_rescue(ledger, *arguments, **named)

    monkeypatch.setattr(ledger, "end_rescue", end_rescue)  # both reports are quicker than its write
    process.receive(check)
    assert process.row(message)["status"] == "delivered"


def test_a_code_that_is_delivered_after_a_soft_bounce_is_not_rescued(
    process: Process, aws: Aws, sandbox: Sandbox
) -> None:
    message, check = send(process, aws)
    report(process.delivery.ledger, message, EventType.BOUNCED, reason=Reason.BLOCKED)
    report(process.delivery.ledger, message, EventType.DELIVERED)
    process.receive(check)
    assert process.row(message)["status"] == "delivered"
    assert copies(sandbox) == ["resend"]


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"sent@other/resend": 19, "delivered<10@other/resend": 19},  # too few
        {"sent@other/resend": 100, "delivered<10@other/resend": 89},  # merely bad at reporting
        {"sent@other/resend": 100, "delivered<60@other/resend": 100},  # later than rescue_after
        {"sent@gmail/resend": 100, "delivered<10@gmail/resend": 100},
        {"sent@other/ses": 100, "delivered<10@other/ses": 100},
    ],
)
def test_a_provider_that_does_not_normally_report_causes_no_copy(
    process: Process, aws: Aws, sandbox: Sandbox, counts: dict[str, int]
) -> None:
    tally(aws, counts)
    _, check = send(process, aws)
    process.receive(later(process, check))
    assert copies(sandbox) == ["resend"]
    assert take(aws) == []


@pytest.mark.parametrize(
    ("sender", "fields"),
    [
        ({"rescue_after": 0}, {}),
        ({"providers": ["resend"]}, {}),
        ({}, {"kind": "organization-invitation", "data": {"link": "https://example.com"}}),
    ],
)
def test_no_check_is_queued_where_nothing_is_rescued(
    process: Process, aws: Aws, sender: dict[str, Any], fields: dict[str, Any]
) -> None:
    put(aws, "senders/default/auth", SENDER | sender)
    process.receive(Parcel.of(code(**fields)))
    assert take(aws) == []


def test_a_code_that_was_in_doubt_is_not_rescued(process: Process, aws: Aws, sandbox: Sandbox) -> None:
    sandbox.faults.add("resend", Kind.RESET_AFTER_ACCEPT)
    process.receive(Parcel.of(code()))
    (retry,) = waiting(aws, "codes")
    take(aws)
    Process(aws).receive(retry)
    assert take(aws) == []


def test_an_expired_or_replaced_code_is_not_rescued(process: Process, aws: Aws, sandbox: Sandbox) -> None:
    message, check = send(process, aws, age=60)
    expired = replace(check, message=replace(check.message, expires_at=time.time() - 1))
    process.receive(later(process, expired))
    process.receive(Parcel.of(code("222222", identity="2")))
    assert copies(sandbox) == ["resend", "postmark"]
    process.receive(later(process, check))
    assert [mail.message_id for mail in sandbox.inbox.all()].count(message.id) == 1


def test_a_rescue_that_is_refused_is_tried_again_and_one_in_doubt_is_not(
    process: Process, aws: Aws, sandbox: Sandbox
) -> None:
    message, check = send(process, aws)
    sandbox.faults.add("postmark", Fault(Kind.RATE_LIMIT, seconds=1))
    process.receive(later(process, check))
    (again,) = map(Parcel.from_json, take(aws))
    sandbox.faults.add("postmark", Kind.RESET_AFTER_ACCEPT)
    for _ in range(2):
        Process(aws).receive(again)
    assert copies(sandbox) == CHAIN
    assert process.row(message)["offered"] == ["postmark"]
    assert take(aws) == []


def test_a_check_needs_a_seal(process: Process, aws: Aws, sandbox: Sandbox) -> None:
    _, check = send(process, aws)
    forged = replace(later(process, check), handover=replace(check.handover, at=0.0)) if check.handover else check
    process.receive(forged)
    assert copies(sandbox) == ["resend"]


def test_codes_of_a_burst_are_rescued_too(
    process: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "COPY_DELAY_SECONDS", 0)
    burst = [code(f"{n:06}", to=f"r{n}@reader.example", identity=f"{n}") for n in range(10)]
    process.receive(*map(Parcel.of, burst))
    checks = [Parcel.from_json(body) for body in take(aws) if '"parcels"' not in body]
    process.receive(*(later(process, check) for check in checks))
    assert sorted(copies(sandbox)) == ["postmark"] * 10 + ["resend"] * 10


def test_a_code_is_sent_although_its_check_cannot_be_queued(
    process: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise AwsError("sqs", "OverLimit", {})

    monkeypatch.setattr(process.delivery.queue, "put", fail)
    message = code()
    assert process.receive(Parcel.of(message)) == []
    assert process.row(message)["status"] == "sent"


def test_a_check_of_a_delivered_code_costs_a_read_and_no_write(
    process: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, check = send(process, aws)
    report(process.delivery.ledger, message, EventType.DELIVERED)
    process.delivery.ledger.tally.flush()
    calls = operations(aws, monkeypatch)
    process.receive(check)
    assert calls == ["GetItem"]


def test_of_two_processes_that_rescue_a_code_one_may_send_it(process: Process, aws: Aws) -> None:
    message, check = send(process, aws)
    assert check.handover
    ledger, token = process.delivery.ledger, check.handover.token
    assert ledger.claim_rescue(message.id, token, "one", "postmark", Status.SENT)
    assert not ledger.claim_rescue(message.id, token, "another", "postmark", Status.SENT)
