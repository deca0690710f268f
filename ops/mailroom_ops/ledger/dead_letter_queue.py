"""A dead-letter queue of SQS: each message is received once, and is visible again unless it was deleted."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailroom_ops.errors import ServiceError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["DeadLetterQueue", "ReceivedMessage", "send"]

VISIBILITY_TIMEOUT_SECONDS = 120  # for which a message that was received stays invisible
MESSAGES_PER_CALL = 10


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message, as it was received."""

    id: str
    handle: str
    body: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """One queue. With `wait_seconds` of 0, SQS asks only some of its servers and may miss messages."""

    sqs: "SQSClient"
    url: str
    wait_seconds: int

    def receive(self, ids: Collection[str] | None = None) -> Iterator[list[ReceivedMessage]]:
        """Yield the messages of the queue in groups, each once; at the end, make visible what was not deleted."""
        handles: list[str] = []
        seen: set[str] = set()
        try:
            while ids is None or not seen >= set(ids):
                answer = self.sqs.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=MESSAGES_PER_CALL,
                    VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                    WaitTimeSeconds=self.wait_seconds,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
                received = [_message(values) for values in answer.get("Messages", [])]
                if not received:
                    return
                handles += [message.handle for message in received]
                new = [message for message in received if message.id not in seen and (ids is None or message.id in ids)]
                seen |= {message.id for message in received}
                if new:
                    yield new
        finally:
            self._make_visible(handles)

    def delete(self, handles: Sequence[str]) -> None:
        """Delete messages of one group."""
        entries: list[Any] = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
        if entries:
            _raise_for_failures(self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries))

    def _make_visible(self, handles: list[str]) -> None:
        for start in range(0, len(handles), MESSAGES_PER_CALL):
            entries: list[Any] = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles[start : start + MESSAGES_PER_CALL])
            ]
            # SQS refuses the handle of a deleted message, which needs nothing more.
            self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)


def send(sqs: "SQSClient", url: str, messages: Sequence[dict[str, str]]) -> None:
    """Put up to ten messages on a queue; each has a MessageBody, and mostly a MessageGroupId."""
    entries: list[Any] = [{"Id": str(number), **message} for number, message in enumerate(messages)]
    if entries:
        _raise_for_failures(sqs.send_message_batch(QueueUrl=url, Entries=entries))


def _message(values: Any) -> ReceivedMessage:
    sent_at = int(values["Attributes"]["SentTimestamp"]) / 1000
    return ReceivedMessage(values["MessageId"], values["ReceiptHandle"], values["Body"], sent_at)


def _raise_for_failures(answer: Any) -> None:
    if failed := answer.get("Failed"):
        raise ServiceError(
            f"SQS refused {len(failed)} messages of a request: {failed[0].get('Code')}.",
            "Run this again: what is done stays done.",
        )
