"""During a deployment, an old deliver reads what a new webhook queues, and a new one what an old one queued."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put
from tests.delivery.process import Process
from tests.factories import code

BEFORE_RELEASE = {"requests", "postponed", "alone", "settled", "seal"}  # fields of a parcel that came later


@pytest.fixture
def deliver(environment: pytest.MonkeyPatch, aws: Aws, sandbox: Sandbox) -> Process:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    return Process(aws)


def queued(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(Parcel.of(message).to_json())
    return body


def test_what_an_older_webhook_queued_is_sent(deliver: Process) -> None:
    message = code()
    body = queued(message)
    body = {name: value for name, value in body.items() if name not in BEFORE_RELEASE}
    optional = {f.name for f in fields(Message) if f.default is not MISSING or f.default_factory is not MISSING}
    for name in optional & body["message"].keys() - {"identity", "locales"}:
        del body["message"][name]
    assert deliver.receive(json.dumps(body)) == []
    assert deliver.row(message)["status"] == "sent"


def test_what_a_newer_webhook_queued_waits_for_the_newer_deliver(deliver: Process) -> None:
    message = code()
    body = queued(message)
    body["message"]["field_of_the_next_release"] = "x"
    assert deliver.receive(json.dumps(body)) == ["0"], "it stays on the queue"
    assert deliver.row(message) == {}, "and nothing is recorded as failed"
    assert deliver.receive(Parcel.of(message)) == [], "the newer deliver reads it"
    assert deliver.row(message)["status"] == "sent"


def test_ten_receives_outlast_a_deployment(root: Path) -> None:
    from mailroom_ops.cloudformation import loader

    queue = loader.load(root / "template.yaml")["Resources"]["CodesQueue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 10
