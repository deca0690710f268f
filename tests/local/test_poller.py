"""Queues that feed a function, on a running stack of the small project: what SQS and Lambda do with what failed."""

import json
import uuid
from typing import Any

import pytest

from mailroom_ops.local.poller import failed_items
from mailroom_ops.local.runtime_api import Outcome
from tests.running import Running


def put(small: Running, queue: str, *bodies: dict[str, Any]) -> list[str]:
    """Queue bodies in one batch; return their ids."""
    ids = [uuid.uuid4().hex for _ in bodies]
    entries = [{"Id": str(n), "MessageBody": json.dumps({**body, "id": ids[n]})} for n, body in enumerate(bodies)]
    small.aws("sqs").send_message_batch(QueueUrl=small.stack.blueprint.queue_url(queue), Entries=entries)
    return ids


def tries(small: Running, id_: str, count: int = 1) -> list[dict[str, Any]]:
    """Return how the function was given a message, once that happened so often."""
    small.until(lambda: len([line for line in small.logs("chores") if id_ in line]) >= count)
    return [json.loads(line) for line in small.logs("chores") if id_ in line]


def buried(small: Running, id_: str) -> bool:
    """Wait until a message lies in the dead-letter queue."""
    sqs, url = small.aws("sqs"), small.stack.blueprint.queue_url("CodesDeadLetterQueue")

    def look() -> bool:
        found = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        return any(id_ in message["Body"] for message in found.get("Messages", []))

    small.until(look)
    return True


def test_what_succeeded_is_deleted_and_what_failed_comes_back_until_it_is_buried(small: Running) -> None:
    good, bad = put(small, "CodesQueue", {"do": "succeed"}, {"do": "fail"})

    assert buried(small, bad)

    assert [entry["times"] for entry in tries(small, bad)] == ["1", "2"]
    assert len(tries(small, good)) == 1


def test_a_function_that_raises_leaves_its_whole_batch_on_the_queue(small: Running) -> None:
    (bad,) = put(small, "CodesQueue", {"do": "raise"})

    assert len(tries(small, bad, 2)) == 2
    assert buried(small, bad)


def test_each_lane_reaches_the_function_under_its_own_name(small: Running) -> None:
    (code,), (notice,) = put(small, "CodesQueue", {}), put(small, "NoticesQueue", {})

    assert tries(small, code)[0]["lane"].endswith("-codes")
    assert tries(small, notice)[0]["lane"].endswith("NoticesQueue")


def test_a_big_burst_is_worked_off_once_each(small: Running) -> None:
    ids = [id_ for _ in range(5) for id_ in put(small, "NoticesQueue", *[{} for _ in range(10)])]

    found = [entry for id_ in ids for entry in tries(small, id_)]

    assert len(found) == 50


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
def test_an_answer_is_read_as_lambda_reads_it(payload: Any, failed: set[str]) -> None:
    assert failed_items(Outcome(json.dumps(payload).encode()), {"a", "b"}) == failed


def test_a_failed_function_fails_everything() -> None:
    assert failed_items(Outcome.failure("E", "e"), {"a", "b"}) == {"a", "b"}
