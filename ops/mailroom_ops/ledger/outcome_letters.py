"""The dead letters of outcome events, which their endpoints have not accepted for a day: list, replay and drop them."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mailroom.callbacks.queue import QueuedEvent
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.ledger.dead_letters import VISIBILITY_TIMEOUT_SECONDS, DeadLetter, MailSummary, Verdict

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from mailroom_ops.environment import Environment

__all__ = ["LANE", "OutcomeLetters"]

LANE = "outcomes"
RETENTION_SECONDS = 14 * 24 * 3600.0
MESSAGES_PER_CALL = 10


@dataclass(frozen=True, slots=True)
class _Received:
    id: str
    handle: str
    body: str
    sent_at: float
    queued: QueuedEvent | None


@dataclass(frozen=True, slots=True)
class OutcomeLetters:
    """The dead-letter queue of outcome events, with the methods of that of a lane."""

    sqs: "SQSClient"
    url: str
    queue_url: str
    lane: str = LANE
    wait_seconds: int = 1

    @classmethod
    def of(cls, environment: "Environment") -> "OutcomeLetters":
        outputs = environment.outputs
        return cls(environment.client("sqs"), outputs["OutcomesDeadLetterQueueUrl"], outputs["OutcomesQueueUrl"])

    def read(self) -> Iterator[DeadLetter]:
        """Yield every dead letter, and leave it on the queue."""
        for batch in self._receive():
            yield from map(_letter, batch)

    def replay(
        self, letters: Iterable[DeadLetter], *, doubtful: bool = False, extend: float = 0
    ) -> Iterator[DeadLetter]:
        """Queue events again, for another day of retries; yield each that is done. One that is unreadable stays."""
        if extend:
            raise InvalidInput("An outcome event has no lifetime to extend.", "Leave --extend out: it gets a new day.")
        for batch in self._receive({letter.id for letter in letters}):
            readable = [(received, received.queued) for received in batch if received.queued]
            entries: list[Any] = [
                {
                    "Id": str(number),
                    "MessageBody": replace(queued, queued_at=time.time(), attempts=0).to_json(),
                    "MessageGroupId": queued.event.tenant,
                }
                for number, (_, queued) in enumerate(readable)
            ]
            if entries:
                _raise_for_failures(self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries))
            self._delete([received for received, _ in readable])
            yield from map(_letter, batch)

    def drop(self, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Delete events, and yield each: their tenants never get them."""
        for batch in self._receive({letter.id for letter in letters}):
            self._delete(batch)
            yield from map(_letter, batch)

    def _receive(self, ids: Collection[str] | None = None) -> Iterator[list[_Received]]:
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
                received = [_read(message) for message in answer.get("Messages", [])]
                if not received:
                    return
                handles += [message.handle for message in received]
                new = [message for message in received if message.id not in seen and (ids is None or message.id in ids)]
                seen |= {message.id for message in received}
                if new:
                    yield new
        finally:
            for handle in handles:
                self._make_visible(handle)

    def _make_visible(self, handle: str) -> None:
        entries: list[Any] = [{"Id": "0", "ReceiptHandle": handle, "VisibilityTimeout": 0}]
        # SQS refuses the handle of a deleted message, which needs nothing more.
        self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def _delete(self, messages: list[_Received]) -> None:
        entries: list[Any] = [
            {"Id": str(number), "ReceiptHandle": message.handle} for number, message in enumerate(messages)
        ]
        if entries:
            _raise_for_failures(self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries))


def _read(message: Any) -> _Received:
    body, sent_at = message["Body"], int(message["Attributes"]["SentTimestamp"]) / 1000
    try:
        queued = QueuedEvent.from_json(body)
    except (ValueError, KeyError, TypeError):
        queued = None
    return _Received(message["MessageId"], message["ReceiptHandle"], body, sent_at, queued)


def _letter(received: _Received) -> DeadLetter:
    verdict = Verdict.READY if received.queued else Verdict.UNREADABLE
    mails = (_summarize(received.queued, received.sent_at),) if received.queued else ()
    return DeadLetter(received.id, LANE, verdict, mails, received.sent_at, len(received.body), doubted=False)


def _summarize(queued: QueuedEvent, sent_at: float) -> MailSummary:
    """Return an event in the place of a mail: its type as the kind, its message in place of the recipient."""
    event = queued.event
    return MailSummary(
        id=event.message_id,
        tenant=event.tenant,
        kind=event.type,
        to=event.message_id,
        created_at=event.at,
        expires_at=sent_at + RETENTION_SECONDS,
        attempt=queued.attempts,
        doubts=(),
        offered=(),
        status="",
        reason=event.reason,
        unrecorded="",
        delivery="not accepted by its endpoint",
    )


def _raise_for_failures(answer: Any) -> None:
    if failed := answer.get("Failed"):
        raise ServiceError(
            f"SQS refused {len(failed)} messages of a request: {failed[0].get('Code')}.",
            "Run this again: what is done stays done.",
        )
