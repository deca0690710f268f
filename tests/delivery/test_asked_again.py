"""Asked again: a code that its reader requests once more goes to the next provider first."""

import time
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.chain import in_order
from mailroom.errors import TemporaryFailure
from mailroom.model.event import EventType
from mailroom.model.message import Message, Parcel
from mailroom_ops.ledger.trace import Trace
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import operations, put, waiting
from tests.delivery.process import Process, take
from tests.factories import code, event

CHAIN = ["resend", "postmark"]


@pytest.fixture
def process(deliver: Process, aws: Aws, sandbox: Sandbox) -> Process:
    """Return a process with two providers in its chain."""
    for name, value in sandbox.settings("postmark").items():
        put(aws, f"providers/postmark/{name}", value)
    put(aws, "senders/default/auth", {"from": "Mailroom <no-reply@example.com>", "providers": CHAIN})
    return deliver


def ask(process: Process, number: int, *, age: float = 0, **fields: Any) -> Message:
    """Deliver a code of its own, made `age` seconds ago; return its message."""
    message = code(f"{number:06}", identity=f"{number}", age=age, **fields)
    assert process.receive(Parcel.of(message)) == []
    return message


def carriers(sandbox: Sandbox, *messages: Message) -> list[str]:
    """Return the provider of each message."""
    providers = {mail.message_id: mail.provider for mail in sandbox.inbox.all()}
    return [providers[message.id] for message in messages]


def report(process: Process, message: Message, type_: EventType) -> None:
    process.delivery.ledger.record(message.id, event(type_, message.id))


@pytest.mark.parametrize(
    ("chain", "behind", "order"),
    [
        ("abc", "a", "bca"),
        ("abc", "b", "cab"),
        ("abc", "c", "abc"),
        ("abc", "", "abc"),
        ("abc", "d", "abc"),
        ("a", "a", "a"),
    ],
)
def test_a_chain_starts_behind_an_account_which_comes_last(chain: str, behind: str, order: str) -> None:
    assert in_order(tuple(chain), behind) == tuple(order)


def test_a_code_that_is_requested_again_goes_to_the_next_provider_first(process: Process, sandbox: Sandbox) -> None:
    sent = [ask(process, 1, age=90), ask(process, 2, age=45), ask(process, 3)]
    assert carriers(sandbox, *sent) == ["resend", "postmark", "resend"]


def test_a_code_whose_predecessor_was_delivered_goes_to_the_first_provider(process: Process, sandbox: Sandbox) -> None:
    first = ask(process, 1, age=60)
    report(process, first, EventType.DELIVERED)
    assert carriers(sandbox, ask(process, 2)) == ["resend"]


@pytest.mark.parametrize("type_", [EventType.DEFERRED, EventType.BOUNCED])
def test_a_code_whose_predecessor_did_not_arrive_goes_to_the_next_provider(
    process: Process, sandbox: Sandbox, type_: EventType
) -> None:
    first = ask(process, 1, age=60)
    report(process, first, type_)
    assert carriers(sandbox, ask(process, 2)) == ["postmark"]


@pytest.mark.parametrize(
    ("age", "fields"),
    [
        (60, {"kind": "mfa-code"}),
        (60, {"to": "other@reader.example"}),
        (60, {"tenant": "acme"}),
        (5, {}),  # a session beside the first one
        (601, {}),  # the first code is not valid any more
        (60, {"replaces_after": None}),
    ],
)
def test_another_code_is_not_one_that_is_requested_again(
    process: Process, aws: Aws, sandbox: Sandbox, age: float, fields: dict[str, Any]
) -> None:
    put(aws, "senders/acme/auth", {"providers": CHAIN})
    process.delivery.ledger.recipients.mark_latest(
        first := code(identity="1", age=age), process.delivery.settings.address_key(), time.time() - age
    )
    process.delivery.ledger.claim(Parcel.of(first), process.delivery.settings.address_key(), "t", 0, "resend")
    assert carriers(sandbox, ask(process, 2, **fields)) == ["resend"]


def test_a_code_whose_predecessor_has_no_answer_yet_goes_to_the_next_provider(
    process: Process, sandbox: Sandbox
) -> None:
    sandbox.faults.add("resend", Kind.RESET_AFTER_ACCEPT, 3)
    ask(process, 1, age=60)
    assert carriers(sandbox, ask(process, 2)) == ["postmark"]


def test_a_predecessor_that_no_provider_took_changes_nothing(process: Process, sandbox: Sandbox) -> None:
    for provider in CHAIN:
        sandbox.faults.add(provider, Fault(Kind.RATE_LIMIT, seconds=1))
    ask(process, 1, age=60)
    for provider in CHAIN:
        process.delivery.dispatch.gate(provider).closed_until = 0
    assert carriers(sandbox, ask(process, 2)) == ["resend"]


def test_a_code_whose_next_provider_fails_goes_to_the_first_one(process: Process, sandbox: Sandbox) -> None:
    ask(process, 1, age=60)
    sandbox.faults.add("postmark", Fault(Kind.STATUS, 503))
    assert carriers(sandbox, ask(process, 2)) == ["resend"]


def test_a_retry_keeps_the_order_of_its_chain(process: Process, aws: Aws, sandbox: Sandbox) -> None:
    ask(process, 1, age=60)
    for provider in CHAIN:
        sandbox.faults.add(provider, Fault(Kind.RATE_LIMIT, seconds=1))
    second = ask(process, 2)
    (retry,) = waiting(aws, "codes")
    assert retry.behind == "resend"
    Process(aws).receive(retry)
    assert carriers(sandbox, second) == ["postmark"]


def test_the_ledger_and_the_statistics_say_that_a_code_was_requested_again(
    process: Process, aws: Aws, sandbox: Sandbox
) -> None:
    ask(process, 1, age=60)
    second = ask(process, 2)
    record = process.delivery.ledger.read(second.id)
    assert record
    steps = Trace.of(record).steps
    assert [(step.event, step.provider, step.detail) for step in steps[1:3]] == [
        ("asked_again", "postmark", "behind resend"),
        ("sent", "postmark", ""),
    ]
    tallies = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    assert {item["asked_again/postmark"]["N"] for item in tallies if "asked_again/postmark" in item} == {"1"}


@pytest.mark.usefixtures("soon")
def test_in_a_burst_a_code_that_is_requested_again_leaves_its_batch(
    process: Process, aws: Aws, sandbox: Sandbox
) -> None:
    ask(process, 1, age=60)
    others = [code(f"9{n:05}", to=f"r{n}@reader.example", identity=f"o{n}") for n in range(9)]
    again = code("000002", identity="2")
    process.receive(*map(Parcel.of, [*others, again]))
    for body in take(aws):
        Process(aws).receive(body)
    assert set(carriers(sandbox, *others)) == {"resend"}
    assert carriers(sandbox, again) == ["postmark"]
    assert sandbox.requests == {"resend": 2, "postmark": 1}
    assert [mail.message_id for mail in sandbox.inbox.all()].count(again.id) == 1


@pytest.mark.parametrize("chain", [["resend"], CHAIN])
def test_a_request_for_another_code_costs_one_read_and_only_where_there_is_a_choice(
    process: Process, aws: Aws, monkeypatch: pytest.MonkeyPatch, chain: list[str]
) -> None:
    put(aws, "senders/default/auth", {"from": "Mailroom <no-reply@example.com>", "providers": chain})
    process = Process(aws)
    ask(process, 1, age=60)
    calls = operations(aws, monkeypatch)
    ask(process, 2)
    reads = calls.count("GetItem")
    assert reads == len(chain)  # one for the suppression list
    assert calls.count("UpdateItem") == 6  # two for the recipient, claim, outcome, two counters


def test_while_the_earlier_row_cannot_be_read_the_chain_keeps_its_order(
    process: Process, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(process, 1, age=60)

    def fail(message_id: str) -> str:
        raise TemporaryFailure("dynamodb", "away")

    monkeypatch.setattr(process.delivery.ledger, "undelivered_by", fail)
    assert carriers(sandbox, ask(process, 2)) == ["resend"]
