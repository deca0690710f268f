"""The requests to AWS of one mail, and their bytes: as many as the table in docs/performance.md, and no more."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from functions.deliver.app import build as build_deliver
from functions.feedback.app import build as build_feedback
from functions.send.app import build as build_send
from functions.webhook.app import build as build_webhook
from mailroom.api.service import SendService
from mailroom.delivery.consumer import MIN_BATCH
from mailroom.delivery.deliver import Delivery
from mailroom.feedback.intake import Intake
from mailroom.model.json_fields import compact_json
from tests.factories import KEY, message, sent
from tests.hostile.surroundings import LOGTO_TOKEN, MemoryAws, surroundings
from tests.lambda_function import LambdaFunction

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| ([^|]+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d,]+) \|$", re.MULTILINE)
WRITES = ("PutItem", "UpdateItem", "DeleteItem")
READS = ("GetItem", "Query")
BATCH_SIZE = 10
ACCURACY = 0.8  # the least share of a figure of bytes that may be used: the table would be out of date


@dataclass
class Cost:
    """The requests of one step, for each mail."""

    writes: float = 0
    reads: float = 0
    queue: float = 0
    bytes: float = 0


class CountingAws(MemoryAws):
    """Counts requests, and keeps the bodies of queued messages."""

    def __init__(self) -> None:
        self.cost = Cost()
        self.queued: list[str] = []
        super().__init__()
        self.cost = Cost()

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if service != "ssm":  # settings are read every five minutes
            self.cost.bytes += len(compact_json(payload))
        if service == "sqs":
            self.cost.queue += 1
            self.queued += [payload["MessageBody"]] if operation == "SendMessage" else []
        elif service == "dynamodb":
            assert operation in (*WRITES, *READS, "BatchGetItem"), f"{operation} is not in the table"
            self.cost.writes += operation in WRITES
            self.cost.reads += operation in READS
            if operation == "BatchGetItem":
                self.cost.reads += sum(len(keys["Keys"]) for keys in payload["RequestItems"].values())
        return super()._post(service, operation, payload)


@pytest.fixture
def aws() -> Iterator[CountingAws]:
    with surroundings():
        yield CountingAws()


def cost_of(aws: CountingAws, step: Callable[[], object], mails: int = 1) -> Cost:
    aws.cost = Cost()
    step()
    cost = aws.cost
    return Cost(*(round(value / mails, 2) for value in (cost.writes, cost.reads, cost.queue, cost.bytes)))


def webhook_event(number: int) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / "webhook-sign-in.json").read_text())
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    event["headers"]["authorization"] = LOGTO_TOKEN
    body = json.loads(event["body"])
    body |= {"to": f"reader{number}@example.com", "ip": f"198.51.100.{number}"}  # of different people
    return {**event, "body": json.dumps(body)}


def records(bodies: list[str]) -> dict[str, Any]:
    arn = "arn:aws:sqs:eu-west-1:123456789012:codes"
    return {
        "Records": [
            {"messageId": str(number), "receiptHandle": str(number), "body": body, "eventSourceARN": arn}
            for number, body in enumerate(bodies)
        ]
    }


def webhook_of(aws: CountingAws) -> LambdaFunction:
    return LambdaFunction(lambda logger, metrics: build_webhook(aws, logger, metrics), aws)


def queued(aws: CountingAws, mails: int) -> list[str]:
    webhook, aws.queued = webhook_of(aws), []
    for number in range(mails):
        assert webhook(webhook_event(number))["statusCode"] == 200
    return aws.queued


def accept(aws: CountingAws) -> Cost:
    webhook = webhook_of(aws)
    webhook(webhook_event(0))
    return cost_of(aws, lambda: webhook(webhook_event(1)))


def deliver(aws: CountingAws, mails: int) -> Cost:
    """Return the cost for each mail of an invocation of a process that is not new."""
    first, *bodies = queued(aws, 1 + mails)
    function = LambdaFunction(lambda logger, metrics: build_deliver(Delivery.from_env(aws), logger, metrics), aws)
    assert function(records([first])) == {"batchItemFailures": []}
    cost = cost_of(aws, lambda: function(records(bodies)), mails)
    assert len(function.logged("Email sent successfully")) == 1 + mails
    return cost


def send(aws: CountingAws) -> Cost:
    function = LambdaFunction(lambda logger, metrics: build_send(SendService.from_env(aws), logger, metrics), aws)
    event = json.loads((ROOT / "events" / "send-sign-in-code.json").read_text())
    assert function(event)["status"] == "sent"
    return cost_of(aws, lambda: function({**event, "to": "other@example.com"}))


def report(aws: CountingAws) -> Cost:
    intake = Intake.from_env(aws)
    function = LambdaFunction(lambda logger, metrics: build_feedback(intake, logger, metrics), aws)
    event = json.loads((ROOT / "events" / "feedback-ses-eventbridge.json").read_text())
    mails = [message(id=f"{number:032x}") for number in (501, 502)]
    for mail in mails:
        sent(intake.ledger, mail, "ses", f"provider id {mail.id}", KEY)
    events = [with_message_id(event, mail.id) for mail in mails]
    function(events[0])
    cost = cost_of(aws, lambda: function(events[1]))
    return cost


def with_message_id(event: dict[str, Any], message_id: str) -> dict[str, Any]:
    text = json.dumps(event)
    known = re.search(r'"message_id": \["([0-9a-f]{32})"\]', text)
    assert known
    copied: dict[str, Any] = json.loads(text.replace(known[1], message_id))
    return copied


STEPS: dict[str, Callable[[CountingAws], Cost]] = {
    "webhook: a code is accepted": accept,
    "deliver: a code alone": lambda aws: deliver(aws, 1),
    **{
        f"deliver: each of {number} codes that arrive together": partial(deliver, mails=number)
        for number in (MIN_BATCH, BATCH_SIZE)
    },
    "send: a code, inline": send,
    "feedback: a report": report,
}


def table() -> dict[str, Cost]:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8").partition("## Requests of a mail")[2]
    return {row[0]: Cost(*(float(cell.replace(",", "")) for cell in row[1:])) for row in ROW.findall(text)}


@pytest.mark.parametrize("name", STEPS)
def test_a_mail_costs_the_amounts_of_the_table(aws: CountingAws, name: str) -> None:
    cost, listed = STEPS[name](aws), table()[name]

    assert (cost.writes, cost.reads, cost.queue) == (listed.writes, listed.reads, listed.queue)
    assert listed.bytes * ACCURACY <= cost.bytes <= listed.bytes


def test_the_table_lists_each_step() -> None:
    assert table().keys() == STEPS.keys()
