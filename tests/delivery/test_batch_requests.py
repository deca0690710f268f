"""Requests of a batch whose account is in trouble, while another account of its mails' chain is well."""

from collections import Counter
from dataclasses import replace
from itertools import chain as joined

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.batch import Batch, split
from mailroom.delivery.batch_requests import PATIENCE_SECONDS, REFUSALS
from mailroom.delivery.gate import FAILURES_IN_A_ROW
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process, end_leases, take
from tests.delivery.test_batches import Killed, deliver_all, ids, kill_at, messages

pytestmark = pytest.mark.usefixtures("soon")

OLD = PATIENCE_SECONDS + 2
ALWAYS = 1000
UNAVAILABLE = Fault(Kind.STATUS, 503)
LOST = Fault(Kind.RESET_AFTER_ACCEPT)


@pytest.fixture(autouse=True)
def two_accounts(environment: pytest.MonkeyPatch, aws: Aws, sandbox: Sandbox) -> None:
    environment.setenv("PROVIDERS", "resend,sendgrid")
    for name, value in sandbox.settings("sendgrid").items():
        put(aws, f"providers/sendgrid/{name}", value)


def batch_of(sent: list[Message], postponed: int = REFUSALS) -> Batch:
    """Return a batch that has been postponed some times."""
    return replace(next(split(map(Parcel.of, sent))), postponed=postponed)


def close_gate(deliver: Process) -> None:
    """Close the gate before Resend, as failures in a row do."""
    for _ in range(FAILURES_IN_A_ROW):
        deliver.delivery.dispatch.gate("resend").failed(deliver.delivery.clock(), None)


def statuses(deliver: Process, sent: list[Message]) -> Counter[tuple[str, str]]:
    rows = map(deliver.row, sent)
    return Counter((row["status"], row.get("provider", "")) for row in rows)


def copies(sandbox: Sandbox) -> Counter[str]:
    return Counter(mail.message_id for mail in sandbox.inbox.all())


@pytest.mark.parametrize(
    "fault", [UNAVAILABLE, Fault(Kind.RATE_LIMIT, seconds=1), Fault(Kind.RESET_BEFORE_BODY)], ids=lambda f: f.kind
)
def test_a_burst_fails_over_from_an_account_that_stays_in_trouble(
    deliver: Process, aws: Aws, sandbox: Sandbox, fault: Fault
) -> None:
    sent = messages(6, age=OLD)
    sandbox.faults.add("resend", fault, ALWAYS)
    deliver.receive(*map(Parcel.of, sent))
    deliver_all(aws, sent, take(aws))
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert copies(sandbox) == Counter(ids(sent))


@pytest.mark.parametrize(
    ("fault", "postponed"), [(LOST, 1), (Fault(Kind.RATE_LIMIT, seconds=1), REFUSALS)], ids=["unanswered", "limited"]
)
def test_young_mails_wait_for_the_account_that_takes_them_all_at_once(
    deliver: Process, aws: Aws, sandbox: Sandbox, fault: Fault, postponed: int
) -> None:
    sent = messages(6)
    sandbox.faults.add("resend", fault)
    deliver.receive(batch_of(sent, postponed).to_json())
    (body,) = take(aws)
    Process(aws).receive(body)
    assert statuses(deliver, sent) == {("sent", "resend"): 6}
    assert sandbox.requests["resend"] == 2


def test_old_mails_wait_for_an_account_that_limits_its_rate_and_accepts_others(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(6, age=OLD)
    deliver.receive(*map(Parcel.of, messages(9)[6:]))
    take(aws)
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1))
    deliver.receive(batch_of(sent).to_json())
    deliver_all(aws, sent, take(aws))
    assert statuses(deliver, sent) == {("sent", "resend"): 6}


def test_a_burst_waits_for_no_account_whose_gate_is_closed(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(6, age=OLD)
    close_gate(deliver)
    deliver.receive(batch_of(sent).to_json())
    deliver_all(aws, sent, take(aws))
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert sandbox.requests["resend"] == 0


def test_a_request_in_doubt_waits_for_no_account_whose_gate_is_closed(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(6, age=OLD)
    sandbox.faults.add("resend", LOST)
    deliver.receive(*map(Parcel.of, sent))
    close_gate(deliver)
    end_leases(aws, sent)
    for body in take(aws):
        deliver.receive(body)
    deliver_all(aws, sent, take(aws))
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert set(copies(sandbox).values()) == {2}


def test_an_account_that_may_have_a_mail_from_a_request_is_not_asked_for_it_alone(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(6, age=OLD)
    sandbox.faults.add("resend", LOST, ALWAYS)
    sandbox.faults.add("sendgrid", Fault(Kind.STATUS, 429), 6)
    deliver.receive(*map(Parcel.of, sent))
    deliver_all(aws, sent, take(aws))
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert set(copies(sandbox).values()) == {2}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("operation", "number"),
    [
        ("UpdateItem", 6),  # the last of the claims
        ("UpdateItem", 7),  # the request ends
        ("UpdateItem", 8),  # the first mail leaves the batch
        ("UpdateItem", 10),
        ("SendMessage", 1),  # its parcel
        ("SendMessage", 4),
        ("SendMessage", 6),
    ],
)
def test_a_request_is_dissolved_through_a_crash_at_each_step(
    deliver: Process,
    aws: Aws,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    number: int,
    *,
    after: bool,
) -> None:
    sent = messages(6, age=OLD)
    sandbox.faults.add("resend", LOST, ALWAYS)
    deliver.receive(*map(Parcel.of, sent))
    end_leases(aws, sent)
    (copy,) = (body for body in take(aws) if '"postponed": 1,"parcels"' in body)
    with monkeypatch.context() as patch:
        dying = Process(aws)
        kill_at(patch, dying, operation, number, after=after)
        with pytest.raises(Killed):
            dying.receive(copy)
    deliver_all(aws, sent, [copy, *take(aws)])
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert set(copies(sandbox).values()) == {2}


def test_mails_without_another_account_do_not_hold_up_those_with_one(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    put(aws, "senders/acme/auth", '{"from": "Acme <no-reply@acme.example>", "providers": ["resend"]}')
    sent, bound = messages(6, age=OLD), messages(6, age=OLD, tenant="acme")
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=1), 2)
    deliver.receive(batch_of(list(joined.from_iterable(zip(sent, bound, strict=True)))).to_json())
    deliver_all(aws, [*sent, *bound], take(aws))
    assert statuses(deliver, sent) == {("sent", "sendgrid"): 6}
    assert statuses(deliver, bound) == {("sent", "resend"): 6}
    assert copies(sandbox) == Counter(ids([*sent, *bound]))


def test_an_expired_mail_of_a_request_in_doubt_takes_no_other_along(
    deliver: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(6, age=OLD)
    sandbox.faults.add("resend", LOST)
    deliver.receive(*map(Parcel.of, sent))
    (copy,) = (body for body in take(aws) if '"postponed": 1,"parcels"' in body)
    batch = Batch.from_json(copy)
    assert batch
    first, *others = batch.parcels
    expired = replace(first, message=replace(first.message, expires_at=deliver.delivery.clock() - 1))
    end_leases(aws, sent)
    deliver_all(aws, sent, [replace(batch, parcels=(expired, *others)).to_json()])
    assert statuses(deliver, sent) == {("unknown", "resend"): 1, ("sent", "sendgrid"): 5}
    assert deliver.row(first.message)["reason"] == "expired"
    assert len(waiting(aws, "codes_dead_letter")) == 1


def test_a_notice_in_doubt_is_not_sent_through_another_account(deliver: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(6, age=OLD, kind="organization-invitation", data={"link": "https://example.com"})
    assert {Parcel.of(notice).lane for notice in sent} == {Lane.NOTICES}
    sandbox.faults.add("resend", LOST, 3)
    deliver.receive(*map(Parcel.of, sent))
    for _ in range(4):
        end_leases(aws, sent)
        for body in take(aws, "notices"):
            deliver.receive(body)
    assert statuses(deliver, sent) == {("sent", "resend"): 6}
    assert copies(sandbox) == Counter(ids(sent))
