"""Lambda's event source mapping on a laptop: it empties a queue into a function.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mailroom_ops.local.logs import Logs
from mailroom_ops.local.runtime_api import Outcome

__all__ = ["Poller", "Source", "failed_items", "to_event"]

LONG_POLL = 20
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """A queue, the function it feeds, and how."""

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int
    reports_failures: bool
    concurrency: int


class Poller:
    """Receives on one thread and runs up to `concurrency` batches at a time, as a mapping does."""

    def __init__(self, source: Source, sqs: Any, invoke: Callable[[str, bytes], Outcome], logs: Logs) -> None:
        self._source = source
        self._sqs = sqs
        self._invoke = invoke
        self._logs = logs
        self._stopping = threading.Event()
        self._free = threading.Semaphore(source.concurrency)
        self._pool = ThreadPoolExecutor(source.concurrency, thread_name_prefix=source.queue_arn)
        self._thread = threading.Thread(target=self._poll, name=f"poll {source.queue_arn}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more. What is under way is left to its function; what is on the queue stays there."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._free.acquire()
            try:
                messages = self._receive()
            except (BotoCoreError, ClientError) as error:
                messages = []
                if not self._stopping.wait(RETRY_SECONDS):
                    self._logs.say(f"cannot receive from {self._source.queue_url}: {error}", "ERROR")
            if messages and not self._stopping.is_set():
                self._pool.submit(self._work, messages)
            else:
                self._free.release()

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._source.queue_url,
            MaxNumberOfMessages=self._source.batch_size,
            WaitTimeSeconds=LONG_POLL,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def _work(self, messages: list[dict[str, Any]]) -> None:
        try:
            outcome = self._invoke(
                self._source.function, json.dumps(to_event(messages, self._source.queue_arn)).encode()
            )
            if self._source.reports_failures:
                failed = failed_items(outcome, {message["MessageId"] for message in messages})
            else:
                failed = {message["MessageId"] for message in messages} if outcome.failed else set()
            done = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages)
                if message["MessageId"] not in failed
            ]
            if done and not self._stopping.is_set():
                self._sqs.delete_message_batch(QueueUrl=self._source.queue_url, Entries=done)
        except (BotoCoreError, ClientError) as error:
            if not self._stopping.is_set():
                self._logs.say(f"messages of {self._source.queue_url} are not deleted: {error}", "ERROR")
        finally:
            self._free.release()


def to_event(messages: list[dict[str, Any]], queue_arn: str) -> dict[str, Any]:
    """Make the event that a function gets for messages received from a queue."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {
                    name: {key[0].lower() + key[1:]: part for key, part in value.items()}
                    for name, value in message.get("MessageAttributes", {}).items()
                },
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": queue_arn.split(":")[3],
            }
            for message in messages
        ]
    }


def failed_items(outcome: Outcome, known: set[str]) -> set[str]:
    """Return which messages stay on the queue; an answer that Lambda would not understand leaves all of them."""
    if outcome.failed:
        return known
    answer = json.loads(outcome.payload or b"null")
    items = answer.get("batchItemFailures") if isinstance(answer, Mapping) else answer
    if items is None:
        return set()
    if not isinstance(items, list):
        return known
    names = [str(item.get("itemIdentifier")) for item in items if isinstance(item, Mapping)]
    return set(names) if len(names) == len(items) and known.issuperset(names) else known
