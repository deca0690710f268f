"""The outbox: deliver, send and feedback queue an event for each outcome of a tenant with a callback, and lose none."""

from collections.abc import Mapping
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.errors import ConfigurationError, TemporaryFailure
from mailroom.feedback.intake import Intake
from mailroom.ledger.hashes import keyed_hash
from mailroom.model.event import EventType, Report
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Outcome, Status
from mailroom.model.outcome_event import OutcomeEvent
from mailroom_ops.sandbox.server import Sandbox
from tests.api.client import Client
from tests.callbacks.process import queued_events
from tests.callbacks.receivers import SECRET
from tests.cloud import put
from tests.delivery.process import Process
from tests.factories import KEY, Clock, code, event, message, row, sent

CALLBACK = {"url": "https://hooks.example.com/mailroom", "secrets": [SECRET]}


@pytest.fixture
def settings(aws: Aws, outcomes: pytest.MonkeyPatch, sandbox: Sandbox) -> Aws:
    """An AWS with the settings of two tenants, of which one has a callback."""
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    put(aws, "brands/acme", '{"name": "Acme"}')
    put(aws, "ledger/address_key", KEY)
    put(aws, "callbacks/acme", CALLBACK)
    return aws


@pytest.fixture
def deliver(settings: Aws) -> Process:
    return Process(settings)


def events_of(aws: Aws) -> list[OutcomeEvent]:
    return [queued.event for queued in queued_events(aws)]


def a_code(**changes: Any) -> Message:
    return code(tenant="acme", **changes)


def request(key: str = "order-1", **changes: Any) -> dict[str, Any]:
    data = {"kind": "sign-in-code", "to": "reader@example.com", "tenant": "acme", "data": {"code": "424242"}}
    return {**data, "idempotency_key": key, **changes}


def test_a_sent_mail_queues_its_event_without_the_address(settings: Aws, deliver: Process) -> None:
    mail = a_code()
    assert deliver.receive(Parcel.of(mail)) == []
    (queued,) = events_of(settings)
    assert queued == OutcomeEvent(
        id=f"{mail.id}-sent",
        type="message.sent",
        at=queued.at,
        tenant="acme",
        message_id=mail.id,
        kind="sign-in-code",
        recipient=keyed_hash(KEY, mail.to),
        provider="resend",
    )


def test_a_mail_of_a_tenant_without_a_callback_queues_no_event(settings: Aws, deliver: Process) -> None:
    deliver.receive(Parcel.of(code()))
    assert queued_events(settings) == []
    assert deliver.logged("Email sent successfully")


def test_the_address_is_queued_for_a_tenant_that_wants_it(settings: Aws, deliver: Process) -> None:
    put(settings, "callbacks/acme", {**CALLBACK, "include_address": True})
    deliver.receive(Parcel.of(a_code(to="reader@example.com")))
    assert [queued.address for queued in events_of(settings)] == ["reader@example.com"]


def test_an_event_of_a_type_that_is_not_taken_is_not_queued(settings: Aws, deliver: Process) -> None:
    put(settings, "callbacks/acme", {**CALLBACK, "events": ["message.failed"]})
    deliver.receive(Parcel.of(a_code()))
    assert queued_events(settings) == []


@pytest.mark.parametrize(
    ("outcome", "type_"),
    [
        (Outcome(Status.SENT, provider="resend"), "message.sent"),
        (Outcome(Status.FAILED, "invalid_recipient", "resend"), "message.failed"),
        (Outcome(Status.UNKNOWN, "no_answer", "smtp"), "message.unknown"),
        (Outcome(Status.SKIPPED, "expired"), "message.skipped"),
        (Outcome(Status.SKIPPED, "rate_limited"), "message.skipped"),
        (Outcome(Status.SKIPPED, "suppressed"), "message.suppressed"),
        (Outcome(Status.ACCEPTED, "holding_back", retry_in=3), None),
    ],
)
def test_each_final_outcome_has_an_event(outcome: Outcome, type_: str | None) -> None:
    outcome_event = OutcomeEvent.of_outcome(message(), outcome, "hash", 0)
    assert (outcome_event.type if outcome_event else None) == type_
    assert outcome_event is None or outcome_event.reason == outcome.reason


def test_an_expired_code_is_reported_as_skipped(settings: Aws, deliver: Process) -> None:
    deliver.receive(Parcel.of(a_code(age=700)))
    assert [(queued.type, queued.reason) for queued in events_of(settings)] == [("message.skipped", "expired")]


def test_each_mail_of_a_burst_has_its_event(settings: Aws, deliver: Process) -> None:
    mails = [a_code(to=f"reader{number}@example.com", identity=f"{number}") for number in range(10)]
    deliver.receive(*(Parcel.of(mail) for mail in mails))
    assert {queued.message_id for queued in events_of(settings)} == {mail.id for mail in mails}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_the_recording_of_an_outcome_loses_no_event(
    settings: Aws, deliver: Process, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Die right before, or right after the outcome is written; then another process gets the same record."""
    finish, mail = deliver.delivery.ledger.finish, a_code()

    def die(*arguments: Any, **options: Any) -> None:
        if moment == "after":
            finish(*arguments, **options)
        raise SystemExit

    monkeypatch.setattr(deliver.delivery.ledger, "finish", die)
    with pytest.raises(SystemExit):
        deliver.receive(Parcel.of(mail))
    assert row(settings, "ledger", f"message#{mail.id}")["status"] == ("accepted" if moment == "before" else "sent")
    other = Process(settings)
    later = Clock(other.delivery.clock() + 30)  # the lease of the dead process has ended
    other.delivery.clock = other.delivery.dispatch.clock = later
    other.seconds = 60
    other.receive(Parcel.of(mail))
    assert row(settings, "ledger", f"message#{mail.id}")["status"] == "sent"
    assert {queued.id for queued in events_of(settings)} == {f"{mail.id}-sent"}


def test_a_crash_before_the_event_records_no_outcome_and_the_event_comes_later(
    settings: Aws, deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = a_code()

    def die(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(deliver.delivery.outbox, "add_outcome", die)
    with pytest.raises(SystemExit):
        deliver.receive(Parcel.of(mail))
    assert row(settings, "ledger", f"message#{mail.id}")["status"] == "accepted"
    other = Process(settings)
    other.delivery.clock = other.delivery.dispatch.clock = Clock(other.delivery.clock() + 30)
    other.seconds = 60
    other.receive(Parcel.of(mail))
    assert [queued.id for queued in events_of(settings)] == [f"{mail.id}-sent"]


def test_an_outcome_that_is_recorded_again_has_one_event(
    settings: Aws, deliver: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, failures = deliver.delivery.ledger.finish, [TemporaryFailure("dynamodb", "away")] * 3

    def fail(*arguments: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        finish(*arguments, **options)

    monkeypatch.setattr(deliver.delivery.ledger, "finish", fail)
    monkeypatch.setattr(deliver.delivery.dispatch, "sleep", lambda seconds: None)
    deliver.receive(Parcel.of(a_code()))
    assert len(queued_events(settings)) == 1


@pytest.mark.parametrize("failure", [TemporaryFailure("sqs", "away"), ConfigurationError("sqs", "AccessDenied")])
def test_a_queue_that_fails_delays_no_mail_and_the_event_comes_with_the_next(
    settings: Aws, deliver: Process, failure: Exception
) -> None:
    call, url = settings.call, deliver.delivery.outbox._queue.url  # type: ignore[union-attr]

    def fail(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        if payload.get("QueueUrl") == url:
            raise failure
        return call(service, operation, payload, **options)

    first, second = a_code(), a_code(to="other@example.com")
    settings.call = fail  # type: ignore[method-assign]
    deliver.receive(Parcel.of(first))
    settings.call = call  # type: ignore[method-assign]
    assert deliver.row(first)["status"] == "sent"
    assert deliver.logged("Outcome event not queued yet")
    deliver.receive(Parcel.of(second))
    assert {queued.message_id for queued in events_of(settings)} == {first.id, second.id}


def test_a_malformed_callback_is_reported_and_its_events_are_queued(settings: Aws, deliver: Process) -> None:
    put(settings, "callbacks/acme", {**CALLBACK, "url": "http://hooks.example.com", "include_address": True})
    deliver.receive(Parcel.of(a_code()))
    assert [queued.address for queued in events_of(settings)] == [""]
    (line,) = deliver.logged("Cached settings stay in use: they could not be read again")
    assert line["detail"].startswith("callbacks/acme is malformed")


def test_an_event_contains_the_key_of_its_caller(settings: Aws, sandbox: Sandbox) -> None:
    client = Client(settings, sandbox)
    inline = client.invoke(request("order-1"))["message_id"]
    queued = client.invoke(request("order-2", mode="queued", to="other@example.com"))["message_id"]
    assert [(event.message_id, event.idempotency_key) for event in events_of(settings)] == [(inline, "order-1")]
    assert row(settings, "ledger", f"message#{queued}")["idempotency_key"] == "order-2"


@pytest.mark.parametrize("key", ["login-Reader@example.com-1", "code 424242", "https://a.example/x?token=1 again"])
def test_a_key_that_contains_the_address_code_or_link_is_not_stored(settings: Aws, sandbox: Sandbox, key: str) -> None:
    link = {"code": "424242", "link": "https://a.example/x?token=1"}
    message_id = Client(settings, sandbox).invoke(request(key, data=link))["message_id"]
    assert [queued.idempotency_key for queued in events_of(settings)] == [""]
    assert key not in str(row(settings, "ledger", f"message#{message_id}"))


def test_a_key_is_stored_only_for_a_tenant_with_a_callback(settings: Aws, sandbox: Sandbox) -> None:
    message_id = Client(settings, sandbox).invoke(request(tenant="default"))["message_id"]
    assert "idempotency_key" not in row(settings, "ledger", f"message#{message_id}")


@pytest.fixture
def intake(settings: Aws) -> Intake:
    return Intake.from_env(settings)


def report(intake: Intake, mail: Message, type_: EventType = EventType.DELIVERED, **fields: Any) -> list[str]:
    """Process a report about a mail; return its effect."""
    return [effect for _, effect, _ in intake.process(Report([event(type_, mail.id, **fields)]))]


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (EventType.DELIVERED, "message.delivered"),
        (EventType.BOUNCED, "message.bounced"),
        (EventType.COMPLAINED, "message.complained"),
        (EventType.SUPPRESSED, "message.suppressed"),
        (EventType.REJECTED, "message.failed"),
        (EventType.FAILED, "message.failed"),
        (EventType.DEFERRED, None),
        (EventType.OPENED, None),
        (EventType.CLICKED, None),
        (EventType.UNSUBSCRIBED, None),
    ],
)
def test_a_report_that_decides_on_a_delivery_has_an_event(
    settings: Aws, intake: Intake, type_: EventType, expected: str | None
) -> None:
    mail = sent(intake.ledger, message(tenant="acme", idempotency_key="order-1"))
    report(intake, mail, type_, recipient=mail.to, permanent=True)
    queued = events_of(settings)
    assert [item.type for item in queued] == ([expected] if expected else [])
    assert all(item.idempotency_key == "order-1" and not item.address for item in queued)
    assert all(item.permanent is (True if type_ is EventType.BOUNCED else None) for item in queued)


@pytest.mark.parametrize(("reported", "address"), [("reader@example.com", True), ("forwarded@example.net", False)])
def test_a_report_names_the_address_that_we_wrote_to_and_no_other(
    settings: Aws, intake: Intake, reported: str, address: bool
) -> None:
    put(settings, "callbacks/acme", {**CALLBACK, "include_address": True})
    mail = sent(intake.ledger, message(tenant="acme"))
    report(intake, mail, recipient=reported)
    assert [bool(queued.address) for queued in events_of(settings)] == [address]


def test_a_crash_after_a_report_is_recorded_loses_no_event(
    settings: Aws, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider gets no answer, so it reports again."""
    mail = sent(intake.ledger, message(tenant="acme"))

    def die(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(intake.outbox, "add_report", die)
    with pytest.raises(SystemExit):
        report(intake, mail)
    assert report(Intake.from_env(settings), mail) == ["repeated"]
    assert [queued.type for queued in events_of(settings)] == ["message.delivered"]


def test_a_report_whose_event_cannot_be_queued_is_not_acknowledged(settings: Aws, outcomes: pytest.MonkeyPatch) -> None:
    intake = Intake.from_env(settings)
    mail = sent(intake.ledger, message(tenant="acme"))
    assert intake.outbox._queue
    call, url = settings.call, intake.outbox._queue.url

    def fail(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        if payload.get("QueueUrl") == url:
            raise TemporaryFailure("sqs", "away")
        return call(service, operation, payload, **options)

    settings.call = fail  # type: ignore[method-assign]
    with pytest.raises(TemporaryFailure):
        report(intake, mail)
    settings.call = call  # type: ignore[method-assign]
    report(intake, mail)
    assert len(queued_events(settings)) == 1


def test_a_repeated_report_has_the_same_id(settings: Aws, intake: Intake) -> None:
    mail = sent(intake.ledger, message(tenant="acme"))
    report(intake, mail)
    report(Intake.from_env(settings), mail)
    first, second = events_of(settings)
    assert first.id == second.id
    assert first.to_json() == second.to_json()
