"""The deliver function as Lambda runs it, and a look at what it leaves behind."""

import importlib
import io
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode
from mailroom.model.message import Message, Parcel, content_identity, new_id
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 20_000


@pytest.fixture
def deliver(aws: Aws, environment: pytest.MonkeyPatch, sandbox: Sandbox) -> Iterator[ModuleType]:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    module = importlib.reload(importlib.import_module("functions.deliver.app"))
    environment.setattr(module, "log", io.StringIO(), raising=False)
    environment.setattr(module, "logger", Logger(service=f"deliver-{uuid.uuid4()}", stream=module.log))
    yield module
    module.aws.close()


def code(value: str = "424242", *, kind: str = "sign-in-code", age: float = 0, **changes: Any) -> Message:
    data = {"code": value}
    at = time.time() - age
    identity = content_identity("default", "reader@reader.example", kind, data)
    message = Message(new_id(), "default", kind, "reader@reader.example", data, at, at + 600, "logto", ("de",))
    return replace(message, **({"identity": identity} | changes))


def hand(deliver: ModuleType, *parcels: Parcel) -> list[str]:
    """Give parcels to the handler as a queue would; return the ids of those that it left there."""
    records = [
        {
            "messageId": f"{number}",
            "receiptHandle": f"handle {number}",
            "body": parcel.to_json(),
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:codes",
        }
        for number, parcel in enumerate(parcels)
    ]
    return [item["itemIdentifier"] for item in deliver.handler({"Records": records}, Context())["batchItemFailures"]]


def row(aws: Aws, message: Message) -> dict[str, Any]:
    answer = aws.call("dynamodb", "GetItem", {"TableName": "ledger", "Key": {"pk": {"S": f"message#{message.id}"}}})
    return {name: decode(value) for name, value in answer["Item"].items()}


def logged(deliver: ModuleType, message: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, deliver.log.getvalue().splitlines()) if line["message"] == message]
