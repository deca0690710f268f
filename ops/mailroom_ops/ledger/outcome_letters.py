"""The dead letters of outcome events, which their endpoints have not accepted for a day: list, replay and drop them."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailroom.callbacks.queue import QueuedEvent
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.dead_letter_queue import DeadLetterQueue, ReceivedMessage, send
from mailroom_ops.ledger.dead_letters import DeadLetter, MailSummary, Verdict

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from mailroom_ops.environment import Environment

__all__ = ["LANE", "OutcomeLetters"]

LANE = "outcomes"
RETENTION_SECONDS = 14 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Received(ReceivedMessage):
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
            renewed = [replace(queued, queued_at=time.time(), attempts=0) for _, queued in readable]
            bodies = [{"MessageBody": event.to_json(), "MessageGroupId": event.event.tenant} for event in renewed]
            send(self.sqs, self.queue_url, bodies)
            self._delete([received for received, _ in readable])
            yield from map(_letter, batch)

    def drop(self, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Delete events, and yield each: their tenants never get them."""
        for batch in self._receive({letter.id for letter in letters}):
            self._delete(batch)
            yield from map(_letter, batch)

    @property
    def _queue(self) -> DeadLetterQueue:
        return DeadLetterQueue(self.sqs, self.url, self.wait_seconds)

    def _receive(self, ids: Collection[str] | None = None) -> Iterator[list[_Received]]:
        return ([_read(message) for message in group] for group in self._queue.receive(ids))

    def _delete(self, messages: list[_Received]) -> None:
        self._queue.delete([message.handle for message in messages])


def _read(message: ReceivedMessage) -> _Received:
    try:
        queued = QueuedEvent.from_json(message.body)
    except (ValueError, KeyError, TypeError):
        queued = None
    return _Received(message.id, message.handle, message.body, message.sent_at, queued)


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
