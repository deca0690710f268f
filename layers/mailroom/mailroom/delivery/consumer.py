"""Consumes the records of a queue: parcels and batches, each on its own, so that no message takes another along.

A message that cannot be worked on now (the ledger or the parameter store is away, another process has it, no time is
left) goes back as a *new* message with a growing delay. The receive count of a queue is for poison only: ten receives
are used up in seconds, and an outage lasts minutes.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mailroom.delivery import rescue
from mailroom.delivery.batch import COPY_DELAY_SECONDS, Batch, split
from mailroom.delivery.batches import Batcher
from mailroom.delivery.deliver import Delivery
from mailroom.delivery.dispatch import MAX_REQUEST_SECONDS
from mailroom.delivery.parallel import Job, run_parallel
from mailroom.delivery.retry import postponement
from mailroom.errors import ClaimedElsewhere, ConfigurationError, DeliveryError, TemporaryFailure
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Outcome

__all__ = ["MIN_BATCH", "Consumer", "Result"]

MIN_BATCH = 3  # fewer that arrive together are as quick alone, and need no copy on the queue
FULL_RECORDS = 10  # in one invocation: Lambda delivers no more at once, so more are waiting
MAX_PULLED = 90  # more records that a burst takes from the queue
OVERDUE_SECONDS = 3600.0  # this long after its lifetime, a message whose end cannot be recorded is a dead letter
POISON_DELAY_SECONDS = 5.0
MAX_POISON_DELAY_SECONDS = 60.0
RESERVE_SECONDS = 4.0  # at the end of an invocation, to put back what could not be sent
OUR_SERVICES = ("dynamodb", "ssm", "sqs", "ledger")

Sent = tuple[Message, Outcome | None]


@dataclass(frozen=True, slots=True)
class Result:
    """One line for the log: an outcome (None: it was recorded before), or an error. A `kept` record comes again."""

    record_id: str
    message: Message | None = None
    outcome: Outcome | None = None
    error: Exception | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A record of a queue and its content, parsed once."""

    record: Mapping[str, Any]
    content: Parcel | Batch

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Item":
        values = json.loads(record["body"])
        return cls(record, Batch.from_dict(values) if "parcels" in values else Parcel.from_dict(values))

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        return self.content.parcels if isinstance(self.content, Batch) else (self.content,)


@dataclass(frozen=True, slots=True)
class Done:
    """An item that a thread has worked on. Without an attempt, an outage was met before."""

    item: Item
    sent: tuple[Sent, ...] = ()
    error: Exception | None = None
    is_attempted: bool = True

    def repeat(self) -> Iterator[Sent]:
        """Yield what was sent, and raise the error."""
        yield from self.sent
        if self.error:
            raise self.error


class Consumer:
    """Works through the records of one invocation. An outage of our own services is met once, not once per record."""

    def __init__(self, delivery: Delivery, deadline: float) -> None:
        self._delivery = delivery
        self._batcher = Batcher(delivery)
        self._deadline = deadline
        delivery.aws.retry_until = deadline - RESERVE_SECONDS
        self._is_outage = self._is_queue_away = delivery.is_ledger_away = False

    @property
    def is_outage(self) -> bool:
        """Whether a service of ours did not answer in this invocation."""
        return self._is_outage or self._delivery.is_ledger_away

    def consume(self, records: Sequence[Mapping[str, Any]]) -> Iterator[Result]:
        """Deliver the content of each record; yield a result for each message."""
        items: list[Item] = []
        for record in records:
            try:
                items.append(Item.of(record))
            except (ValueError, KeyError, TypeError) as error:
                yield self._keep(record, error)
        for item in items:
            if isinstance(item.content, Batch):
                yield from self._guard(item, self._send_batch(item.content))
        singles = [item for item in items if isinstance(item.content, Parcel)]
        if len(singles) >= MIN_BATCH and not self.is_outage:
            singles = yield from self._send_burst(singles, are_more=len(records) >= FULL_RECORDS)
        self._mark_newest(singles)
        yield from self._send_singles(singles)

    def _send_singles(self, items: list[Item]) -> Iterator[Result]:
        """Send parcels at the same time, those of one recipient one after the other."""
        chains: dict[tuple[str, str], list[Item]] = {}
        for item in self._in_turn(items):
            message = item.parcels[0].message
            chains.setdefault((message.tenant, message.to.lower()), []).append(item)
        jobs = [
            Job(self._batcher.account_of(chain[0].parcels[0]), partial(self._attempt, chain))
            for chain in chains.values()
        ]
        with closing(run_parallel(jobs, self._delivery.dispatch.max_parallel)) as results:
            for done in results:
                if done.is_attempted:
                    yield from self._settle(done.item, done.repeat())
                else:
                    yield self._put_back(done.item)

    def _attempt(self, chain: Sequence[Item]) -> Iterator[Done]:
        """Attempt to send parcels, in a thread; what follows from it is for the caller's."""
        for item in chain:
            if self.is_outage:
                yield Done(item, is_attempted=False)
                continue
            (parcel,) = item.parcels
            try:
                yield Done(item, tuple(self._send_parcel(parcel)))
            except Exception as error:  # noqa: BLE001 - the caller sorts it
                if isinstance(error, DeliveryError):
                    self._note_outage(error)
                yield Done(item, error=error)

    def _send_parcel(self, parcel: Parcel) -> Iterator[Sent]:
        if self._delivery.clock() + MAX_REQUEST_SECONDS > self._deadline:
            self._delivery.enqueue(parcel)
        elif parcel.handover:
            if outcome := rescue.check(self._delivery, parcel, self._deadline):
                yield parcel.message, outcome
        else:
            yield parcel.message, self._delivery.receive(parcel, self._deadline)

    def _send_batch(self, batch: Batch) -> Iterator[Sent]:
        if batch.id:
            yield from self._batcher.send_copy(batch, self._deadline)
        else:  # the form before 2026-12, of which the ledger knows no requests
            for parcel in batch.parcels:
                self._delivery.enqueue(replace(parcel, alone=True))

    def _send_burst(self, singles: list[Item], *, are_more: bool) -> Generator[Result, None, list[Item]]:
        """Send items that may share requests, with more of them from the queue, in batches; return the other items."""
        queue = self._delivery.queue
        try:
            suited = [item for item in singles if self._suits(item)]
            if len(suited) < MIN_BATCH:
                return singles
            source = suited[0].record["eventSourceARN"]
            pulled = self._pull(source) if are_more else []
            first, *others = split(parcel for item in (*suited, *pulled) for parcel in item.parcels)
            self._batcher.enqueue(first, COPY_DELAY_SECONDS)
            for batch in others:
                self._batcher.enqueue(batch, 0)
        except DeliveryError as error:
            yield Result("", error=error)
            return singles  # one by one, which needs no queue
        # From here on the copies hold each of these messages: their records may go.
        try:
            queue.delete(source, [item.record["receiptHandle"] for item in pulled])
            for message, outcome in self._batcher.send_new(first, self._deadline):
                yield Result("", message, outcome)
        except DeliveryError as error:
            self._note_outage(error)
            yield Result("", error=error)
            yield from self._repeat_soon(first)
        except Exception as error:  # noqa: BLE001 - the copies come back and are counted; other records are still to do
            yield Result("", error=error)
        packed = {item.record["messageId"] for item in suited}
        return [item for item in singles if item.record["messageId"] not in packed]

    def _repeat_soon(self, batch: Batch) -> Iterator[Result]:
        """Enqueue one more copy of a batch that met an outage: its first one comes when the leases have ended."""
        try:
            self._delivery.queue.put_back(replace(batch, postponed=1), postponement(0, batch.lane))
        except DeliveryError as error:
            self._is_queue_away = True
            yield Result("", error=error)

    def _pull(self, source: str) -> list[Item]:
        """Receive more records while they suit a batch. What does not goes back as a new message."""
        queue, pulled = self._delivery.queue, list[Item]()
        while len(pulled) < MAX_PULLED and (records := queue.receive(source)):
            before = len(pulled)
            for record in records:
                try:
                    item = Item.of(record)
                except (ValueError, KeyError, TypeError):
                    queue.postpone(source, record["receiptHandle"], 0)  # nobody can read it: let its receives count
                    continue
                if self._suits(item):
                    pulled.append(item)
                else:
                    queue.put(item.content)
                    queue.delete(source, [record["receiptHandle"]])
            if len(pulled) - before < len(records):
                break
        return pulled

    def _suits(self, item: Item) -> bool:
        return isinstance(item.content, Parcel) and self._batcher.suits(item.content)

    def _mark_newest(self, items: Sequence[Item]) -> None:
        """Record the newest of the codes of one recipient before the first is sent: it may replace an older one."""
        codes: dict[tuple[str, str, str], list[Message]] = {}
        for message in (parcel.message for item in items for parcel in item.parcels if not parcel.handover):
            if message.supersedes:
                codes.setdefault((message.tenant, message.to.lower(), message.kind), []).append(message)
        for messages in codes.values() if not self.is_outage else ():
            newest = max(messages, key=lambda message: message.dead_before or 0.0)
            if min(message.created_at for message in messages) <= (newest.dead_before or 0.0):
                try:
                    self._delivery.last_check(newest, counts=False)
                except DeliveryError as error:
                    return self._note_outage(error)

    def _in_turn(self, items: list[Item]) -> list[Item]:
        """Sort items: a mail of each tenant in turn, the oldest first; those of an account that fails or hangs last.

        So many mails of one tenant, through a slow provider, delay another's by one request.
        """
        turns: Counter[str] = Counter()
        places: list[tuple[bool, int, Item]] = []
        for item in sorted(items, key=lambda item: item.parcels[0].message.created_at):
            (parcel,) = item.parcels
            gate = self._delivery.dispatch.gate(self._batcher.account_of(parcel))
            places.append((gate.is_troubled, turns[parcel.tenant], item))
            turns[parcel.tenant] += 1
        return [item for _, _, item in sorted(places, key=lambda place: place[:2])]

    def _guard(self, item: Item, work: Iterator[Sent]) -> Iterator[Result]:
        if self.is_outage:
            yield self._put_back(item)
        else:
            yield from self._settle(item, work)

    def _settle(self, item: Item, work: Iterator[Sent]) -> Iterator[Result]:
        """Yield the results of work on a record; where it fails, the record comes back, in one way or another."""
        record_id = item.record["messageId"]
        try:
            for message, outcome in work:
                yield Result(record_id, message, outcome)
        except (TemporaryFailure, ConfigurationError) as error:
            self._note_outage(error)
            yield self._put_back(item, error)
        except Exception as error:  # noqa: BLE001 - one poisonous message takes no other along
            yield self._keep(item.record, error)

    def _note_outage(self, error: DeliveryError) -> None:
        """Record an outage for the whole invocation: each call to a service that hangs takes seconds of its 20."""
        is_service_away = isinstance(error, TemporaryFailure | ConfigurationError)  # a refusal is about one message
        if is_service_away and error.party in OUR_SERVICES and not isinstance(error, ClaimedElsewhere):
            self._is_outage = True

    def _put_back(self, item: Item, error: DeliveryError | None = None) -> Result:
        """Enqueue the content of a record again, later each time, and let the record go.

        Where SQS does not confirm that, it may have taken it all the same: this record and the others stay, and come
        back after their visibility timeout. To ask for them sooner would double the messages of an outage each time.
        """
        record_id, content = item.record["messageId"], item.content
        if self._is_queue_away:
            return Result(record_id, error=error, kept=True)
        wait = (error.retry_after or 0.0) if isinstance(error, ClaimedElsewhere) else 0.0
        delay = postponement(content.postponed, content.lane, wait)
        overdue = max(parcel.message.expires_at for parcel in item.parcels) + OVERDUE_SECONDS
        try:
            if self._delivery.clock() > overdue:
                self._delivery.queue.dead_letter(content)
            else:
                self._delivery.queue.put_back(replace(content, postponed=content.postponed + 1), delay)
        except DeliveryError as failure:
            self._is_queue_away = True
            return Result(record_id, error=error or failure, kept=True)
        return Result(record_id, error=error)

    def _keep(self, record: Mapping[str, Any], error: Exception) -> Result:
        """Leave a record on its queue, which moves it to the dead letters after some receives."""
        receives = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
        delay = min(POISON_DELAY_SECONDS * receives, MAX_POISON_DELAY_SECONDS)
        self._delivery.queue.postpone(record["eventSourceARN"], record["receiptHandle"], delay)
        return Result(record["messageId"], error=error, kept=True)
