"""Many mails while the first provider is cut off, throttled, silent, and comes back (MAILROOM_LOAD=2000 for more)."""

import os
from collections import Counter
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery import consumer
from mailroom.model.message import Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put
from tests.delivery.process import ARN, Process
from tests.delivery.test_batches import ids, messages
from tests.thorough import times

pytestmark = pytest.mark.thorough

MAILS = int(os.environ.get("MAILROOM_LOAD") or times(120, 300))
AT_ONCE = 200  # moto counts the whole queue for every message it hands out


class Lane:
    """The codes queue, worked on as Lambda works on it: ten at a time, what was settled is deleted."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]

    def __len__(self) -> int:
        query = {"QueueUrl": self.url, "AttributeNames": ["All"]}
        counts = self.aws.call("sqs", "GetQueueAttributes", query)["Attributes"]
        return sum(int(count) for name, count in counts.items() if name.startswith("ApproximateNumberOf"))

    def work(self, deliver: Process) -> None:
        query = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        found = self.aws.call("sqs", "ReceiveMessage", query).get("Messages", [])
        if not found:
            return
        records = [
            {"messageId": m["MessageId"], "receiptHandle": m["ReceiptHandle"], "body": m["Body"], "eventSourceARN": ARN}
            for m in found
        ]
        answer: dict[str, Any] = deliver.handler({"Records": records}, deliver.context)
        failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                handle = {"QueueUrl": self.url, "ReceiptHandle": record["receiptHandle"]}
                self.aws.call("sqs", "DeleteMessage", handle)


@pytest.fixture
def chain(deliver: Process, aws: Aws, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr(consumer, "COPY_DELAY_SECONDS", 1)
    monkeypatch.setattr(deliver.delivery.settings, "chain", ("resend", "sendgrid"))
    for name, value in sandbox.settings("sendgrid").items():
        put(aws, f"providers/sendgrid/{name}", value)
    return deliver


def test_all_are_sent_none_is_lost_and_no_copy_is_made_that_policy_does_not_allow(
    chain: Process, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(MAILS)
    for fault in (
        Fault(Kind.RESET_BEFORE_BODY),  # silent, and it has nothing
        Fault(Kind.RATE_LIMIT, seconds=1),
        Fault(Kind.RESET_AFTER_ACCEPT),  # silent, and it has all of it
        Fault(Kind.STATUS, 429),
        Fault(Kind.STATUS, 503),
    ):
        sandbox.faults.add("resend", fault, max(1, MAILS // 700))
    lane = Lane(aws)
    for start in range(0, MAILS, AT_ONCE):
        for message in sent[start : start + AT_ONCE]:
            chain.delivery.queue.put(Parcel.of(message))
        while len(lane):
            lane.work(chain)
    arrived = Counter(mail.message_id for mail in sandbox.inbox.all())
    by_provider = Counter(mail.provider for mail in sandbox.inbox.all())
    assert sorted(arrived) == ids(sent)
    assert {chain.row(message)["status"] for message in sent} == {"sent"}
    # The first provider knows a crate by its key, and a crate in doubt goes to nobody else: so no copies at all.
    assert {message: copies for message, copies in arrived.items() if copies > 1} == {}
    assert by_provider["resend"] > MAILS / 2
    assert sandbox.requests["resend"] < MAILS / 10


def test_with_the_first_provider_gone_for_good_the_second_takes_all(chain: Process, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(40)
    for message in sent:
        chain.delivery.queue.put(Parcel.of(message))
    put(aws, "providers/resend/endpoint", "http://127.0.0.1:9")  # the discard port: nobody listens
    chain.delivery.settings.forget()
    lane = Lane(aws)
    while len(lane):
        lane.work(chain)
    assert Counter((mail.provider, mail.message_id) for mail in sandbox.inbox.all()) == Counter(
        ("sendgrid", message.id) for message in sent
    )
