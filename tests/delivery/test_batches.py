"""Bursts: what arrives together leaves in few requests, and still once each."""

import json
from types import ModuleType
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery import batches
from mailroom.model.message import Message, Parcel
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import waiting
from tests.delivery.conftest import Context, code, row

ARN = "arn:aws:sqs:eu-west-1:123456789012:codes"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the copy of a crate come at once, and not when who packed it must be dead."""
    monkeypatch.setattr(batches, "LATER", 0)


def messages(number: int) -> list[Message]:
    return [code(f"{n:06}", to=f"reader{n}@reader.example", identity=f"said {n}") for n in range(number)]


def record(body: str) -> dict[str, Any]:
    return {"messageId": body[:80], "receiptHandle": "handle", "body": body, "eventSourceARN": ARN}


def put(aws: Aws, deliver: ModuleType, sent: list[Message]) -> None:
    for message in sent:
        deliver.delivery.queue.put(Parcel.of(message))


def hand(deliver: ModuleType, bodies: list[str]) -> list[str]:
    event = {"Records": [record(body) for body in bodies]}
    return [item["itemIdentifier"] for item in deliver.handler(event, Context())["batchItemFailures"]]


def burst(deliver: ModuleType, sent: list[Message]) -> list[str]:
    return hand(deliver, [Parcel.of(message).to_json() for message in sent])


def take(aws: Aws) -> list[str]:
    """Take all that is on the lane, also what is delayed, off it."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]
    counts = aws.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
    expected = int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesDelayed"])
    bodies: list[str] = []
    while len(bodies) < expected:
        query = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        for message in aws.call("sqs", "ReceiveMessage", query).get("Messages", []):
            bodies.append(message["Body"])
            aws.call("sqs", "DeleteMessage", {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]})
    return bodies


def arrived(sandbox: Sandbox) -> list[str]:
    return sorted(mail.message_id for mail in sandbox.inbox.all())


def ids(sent: list[Message]) -> list[str]:
    return sorted(message.id for message in sent)


def test_a_full_batch_and_what_waits_behind_it_leave_at_once_in_one_request(
    deliver: ModuleType, aws: Aws, sandbox: Sandbox
) -> None:
    sent = messages(35)
    put(aws, deliver, sent[10:])
    assert burst(deliver, sent[:10]) == []
    assert arrived(sandbox) == ids(sent)
    assert sandbox.requests["resend"] == 1
    assert {row(aws, message)["status"] for message in sent} == {"sent"}
    assert len({row(aws, message)["provider_id"] for message in sent}) == 35


def test_the_copy_of_a_crate_that_has_gone_sends_nothing(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    burst(deliver, [code(f"{n:06}", to=f"reader{n}@reader.example") for n in range(10)])
    (copy,) = take(aws)
    assert hand(deliver, [copy]) == []
    assert sandbox.requests["resend"] == 1
    assert take(aws) == []


def test_few_mails_go_each_at_once(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(9)
    burst(deliver, sent)
    assert arrived(sandbox) == ids(sent)
    assert take(aws) == []


def test_more_than_a_crate_holds_goes_into_several(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = [code(f"{n:06}", identity=f"said {n}", data={"code": "1", "note": "x" * 30_000}) for n in range(10)]
    assert burst(deliver, sent) == []
    assert sandbox.requests["resend"] == 2
    batches = take(aws)
    assert len(batches) == 2
    assert all(len(batches) < 256 * 1024 for batches in batches)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.RATE_LIMIT, seconds=1),
        Fault(Kind.STATUS, 503),
        Fault(Kind.RESET_BEFORE_BODY),
        Fault(Kind.RESET_AFTER_ACCEPT),
        Fault(Kind.GARBAGE),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_crate_that_met_trouble_goes_again_as_a_whole(
    deliver: ModuleType, aws: Aws, sandbox: Sandbox, fault: Fault
) -> None:
    sent = messages(12)
    put(aws, deliver, sent[10:])
    sandbox.faults.add("resend", fault)
    burst(deliver, sent[:10])
    assert {row(aws, message)["status"] for message in sent} == {"accepted"}
    assert hand(deliver, take(aws)) == []
    assert arrived(sandbox) == ids(sent)
    assert {row(aws, message)["status"] for message in sent} == {"sent"}


def test_one_bad_address_does_not_hold_up_the_others(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10)
    body = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field"}
    refusal = Fault(Kind.REPLY, 422, body=json.dumps(body))
    sandbox.faults.add("resend", refusal, 2)  # the crate, and the first mail of it
    burst(deliver, sent)
    assert [row(aws, message)["status"] for message in sent] == ["failed"] + ["sent"] * 9
    assert len(arrived(sandbox)) == 9


def test_a_crash_after_packing_sends_no_mail_twice(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10)
    deliver.packing.pack([record(Parcel.of(message).to_json()) for message in sent])
    (copy,) = take(aws)
    sandbox.faults.add("resend", Fault(Kind.RESET_AFTER_ACCEPT))
    hand(deliver, [copy])
    for message in sent:  # their own copies come back, as they do when the acknowledgement was lost
        hand(deliver, [Parcel.of(message).to_json()])
    hand(deliver, [copy])
    hand(deliver, take(aws))
    assert arrived(sandbox) == ids(sent)
    assert {row(aws, message)["status"] for message in sent} == {"sent"}


def test_expired_and_superseded_mails_are_left_out(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = [code("000001", age=700), code("000003"), code("000002", age=3)]
    sent += messages(7)
    burst(deliver, sent)
    assert [row(aws, message).get("reason") for message in sent[:3]] == ["expired", None, "superseded"]
    assert arrived(sandbox) == ids([sent[1], *sent[3:]])


def test_a_crate_that_others_meet_while_they_pack_never_comes_to_the_dead_letters(
    deliver: ModuleType, aws: Aws, sandbox: Sandbox
) -> None:
    limit_receipts(aws, 2)
    sent = messages(40)
    deliver.packing.pack([record(Parcel.of(message).to_json()) for message in sent[:10]])
    for start in (10, 20, 30):
        burst(deliver, sent[start : start + 10])
    assert waiting(aws, "codes_dead_letter") == []
    hand(deliver, take(aws))
    assert arrived(sandbox) == ids(sent)


def test_a_crate_for_which_no_time_is_left_goes_back_as_new(deliver: ModuleType, aws: Aws, sandbox: Sandbox) -> None:
    sent = messages(10)
    deliver.packing.pack([record(Parcel.of(message).to_json()) for message in sent])
    (batches,) = take(aws)
    assert deliver.handler({"Records": [record(batches)]}, AlmostOver()) == {"batchItemFailures": []}
    assert take(aws) == [batches]
    assert arrived(sandbox) == []


def test_what_nobody_can_read_is_not_taken_off_the_queue_by_those_who_pack(
    deliver: ModuleType, aws: Aws, sandbox: Sandbox
) -> None:
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]
    aws.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": "{}"})
    sent = messages(10)
    burst(deliver, sent)
    assert "{}" in take(aws)
    assert arrived(sandbox) == ids(sent)


class AlmostOver(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 5_000


def limit_receipts(aws: Aws, most: int) -> None:
    """Let the queue move to the dead letters what was handed over so often."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": "codes"})["QueueUrl"]
    policy = {"deadLetterTargetArn": f"{ARN}_dead_letter", "maxReceiveCount": most}
    aws.call("sqs", "SetQueueAttributes", {"QueueUrl": url, "Attributes": {"RedrivePolicy": json.dumps(policy)}})
