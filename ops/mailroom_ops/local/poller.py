"""A local event source mapping: receives batches from a queue and invokes a function with them.

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
from mailroom_ops.local.runtime_api import InvocationResult

__all__ = ["Poller", "Source", "failed_items", "to_event"]

LONG_POLL_SECONDS = 20
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """An event source: a queue, its function and the options of the mapping."""

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int
    reports_failures: bool
    concurrency: int


class Poller:
    """Receives in one thread and runs up to `concurrency` batches at a time."""

    def __init__(self, source: Source, sqs: Any, invoke: Callable[[str, bytes], InvocationResult], logs: Logs) -> None:
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
        """Stop receiving. Batches in flight run to their end; other messages stay in the queue."""
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
                    self._logs.log(f"cannot receive from {self._source.queue_url}: {error}", "ERROR")
            if messages and not self._stopping.is_set():
                self._pool.submit(self._process, messages)
            else:
                self._free.release()

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._source.queue_url,
            MaxNumberOfMessages=self._source.batch_size,
            WaitTimeSeconds=LONG_POLL_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def _process(self, messages: list[dict[str, Any]]) -> None:
        try:
            result = self._invoke(
                self._source.function, json.dumps(to_event(messages, self._source.queue_arn)).encode()
            )
            if self._source.reports_failures:
                failed = failed_items(result, {message["MessageId"] for message in messages})
            else:
                failed = {message["MessageId"] for message in messages} if result.failed else set()
            done = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages)
                if message["MessageId"] not in failed
            ]
            if done and not self._stopping.is_set():
                self._sqs.delete_message_batch(QueueUrl=self._source.queue_url, Entries=done)
        except (BotoCoreError, ClientError) as error:
            if not self._stopping.is_set():
                self._logs.log(f"cannot delete messages from {self._source.queue_url}: {error}", "ERROR")
        finally:
            self._free.release()


def to_event(messages: list[dict[str, Any]], queue_arn: str) -> dict[str, Any]:
    """Convert received messages to the event of a function."""
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


def failed_items(result: InvocationResult, ids: set[str]) -> set[str]:
    """Return the ids of the messages that failed; a result that Lambda cannot interpret fails all `ids`."""
    if result.failed:
        return ids
    answer = json.loads(result.payload or b"null")
    items = answer.get("batchItemFailures") if isinstance(answer, Mapping) else answer
    if items is None:
        return set()
    if not isinstance(items, list):
        return ids
    names = [str(item.get("itemIdentifier")) for item in items if isinstance(item, Mapping)]
    return set(names) if len(names) == len(items) and ids.issuperset(names) else ids
