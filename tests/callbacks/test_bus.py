"""The event bus: it gets the outcome events of all tenants, once each, without addresses."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.callbacks.bus import EventBus
from mailroom.callbacks.outbox import Outbox
from mailroom.model.outcome import Outcome, Status
from mailroom.settings import Settings
from tests.callbacks.process import Notify, outcome_event, queued_events
from tests.callbacks.receivers import SECRET, Receiver, receiving
from tests.cloud import put
from tests.factories import KEY, message


@pytest.fixture
def arn(notify: Notify) -> str:
    """A bus that moves all that is put on it to an SQS queue, and a process that knows it."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    arn: str = events.create_event_bus(Name="outcomes-bus")["EventBusArn"]
    url = sqs.create_queue(QueueName="from-the-bus")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName=arn, EventPattern='{"source": ["mailroom"]}')
    events.put_targets(Rule="all", EventBusName=arn, Targets=[{"Id": "1", "Arn": queue}])
    notify.notifier.bus = EventBus(notify.aws, arn)
    return arn


def on_bus() -> list[dict[str, Any]]:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="from-the-bus")["QueueUrl"]
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(item["Body"]) for item in answer.get("Messages", [])]


def test_an_event_of_a_tenant_without_a_callback_is_on_the_bus(notify: Notify, arn: str) -> None:
    event = outcome_event(provider="resend", address="reader@example.com")
    assert notify(event) == []
    (item,) = on_bus()
    assert (item["source"], item["detail-type"]) == ("mailroom", "message.sent")
    assert item["detail"] == {
        "id": event.id,
        "message_id": event.message_id,
        "tenant": "acme",
        "kind": "sign-in-code",
        "recipient": "hash-of-the-address",
        "provider": "resend",
    }
    assert not notify.put_back


def test_a_retry_of_an_endpoint_puts_its_event_on_the_bus_once(notify: Notify, arn: str) -> None:
    with receiving(Receiver(SECRET, status=500)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify(outcome_event())
        ((queued, _),) = notify.put_back
        notify(queued)
    assert len(receiver.events) == 2
    assert len(on_bus()) == 1


def test_an_event_that_the_bus_does_not_take_is_retried_and_posted_then(notify: Notify, arn: str) -> None:
    call = notify.aws.call

    def fail(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        if service == "events":
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
        return call(service, operation, payload, **options)

    with receiving(Receiver(SECRET)) as receiver:
        notify.set("acme", receiver.url, SECRET)
        notify.aws.call = fail  # type: ignore[method-assign]
        notify(outcome_event())
        notify.aws.call = call  # type: ignore[method-assign]
        ((queued, _),) = notify.put_back
        assert (receiver.events, queued.is_on_bus, queued.attempts) == ([], False, 1)
        notify(queued)
    assert len(receiver.events) == len(on_bus()) == 1


@pytest.mark.parametrize("bus", ["", "arn:aws:events:eu-west-1:123456789012:event-bus/outcomes"])
def test_with_a_bus_every_tenants_outcomes_are_queued(aws: Aws, outcomes: pytest.MonkeyPatch, bus: str) -> None:
    outcomes.setenv("OUTCOME_BUS", bus)
    put(aws, "ledger/address_key", KEY)
    outbox = Outbox.from_env(aws, Settings.from_env(aws))
    outbox.add_outcome(message(), Outcome(Status.SENT, provider="resend"))
    assert len(queued_events(aws)) == bool(bus)
