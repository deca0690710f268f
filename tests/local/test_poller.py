"""Event source mappings on a running stack of the small project: deletion, retries and dead letters."""

import json
import uuid
from typing import Any

import pytest

from mailroom_ops.local.poller import failed_items
from mailroom_ops.local.runtime_api import InvocationResult
from tests.running import Running


def put(small: Running, queue: str, *bodies: dict[str, Any]) -> list[str]:
    """Queue bodies in one batch; return their ids."""
    ids = [uuid.uuid4().hex for _ in bodies]
    entries = [{"Id": str(n), "MessageBody": json.dumps({**body, "id": ids[n]})} for n, body in enumerate(bodies)]
    small.aws("sqs").send_message_batch(QueueUrl=small.stack.blueprint.queue_url(queue), Entries=entries)
    return ids


def receipts(small: Running, id_: str, count: int = 1) -> list[dict[str, Any]]:
    """Return what the function has logged of a message, once it has received it so often."""
    small.until(lambda: len([line for line in small.logs("chores") if id_ in line]) >= count)
    return [json.loads(line) for line in small.logs("chores") if id_ in line]


def is_dead_letter(small: Running, id_: str) -> bool:
    """Wait until a message is in the dead-letter queue."""
    sqs, url = small.aws("sqs"), small.stack.blueprint.queue_url("CodesDeadLetterQueue")

    def has_arrived() -> bool:
        answer = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        return any(id_ in message["Body"] for message in answer.get("Messages", []))

    small.until(has_arrived)
    return True


def test_failed_messages_are_retried_until_they_are_dead_letters(small: Running) -> None:
    good, bad = put(small, "CodesQueue", {"do": "succeed"}, {"do": "fail"})

    assert is_dead_letter(small, bad)

    assert [entry["times"] for entry in receipts(small, bad)] == ["1", "2"]
    assert len(receipts(small, good)) == 1


def test_an_exception_leaves_the_whole_batch_in_the_queue(small: Running) -> None:
    (bad,) = put(small, "CodesQueue", {"do": "raise"})

    assert len(receipts(small, bad, 2)) == 2
    assert is_dead_letter(small, bad)


def test_each_record_names_the_queue_it_comes_from(small: Running) -> None:
    (code,), (notice,) = put(small, "CodesQueue", {}), put(small, "NoticesQueue", {})

    assert receipts(small, code)[0]["lane"].endswith("-codes")
    assert receipts(small, notice)[0]["lane"].endswith("NoticesQueue")


def test_each_message_of_a_large_burst_is_processed_once(small: Running) -> None:
    ids = [id_ for _ in range(5) for id_ in put(small, "NoticesQueue", *[{} for _ in range(10)])]

    processed = [entry for id_ in ids for entry in receipts(small, id_)]

    assert len(processed) == 50


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        ({"batchItemFailures": []}, set()),
        ({}, set()),
        (None, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "other"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{"id": "a"}]}, {"a", "b"}),
        ({"batchItemFailures": "a"}, {"a", "b"}),
        ("nonsense", {"a", "b"}),
    ],
)
def test_a_result_is_interpreted_as_by_lambda(payload: Any, failed: set[str]) -> None:
    assert failed_items(InvocationResult(json.dumps(payload).encode()), {"a", "b"}) == failed


def test_a_failed_function_fails_all_messages() -> None:
    assert failed_items(InvocationResult.failure("E", "e"), {"a", "b"}) == {"a", "b"}
