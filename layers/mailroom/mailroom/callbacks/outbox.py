"""The outbox of deliver, send and feedback: it queues an event for each outcome of a tenant that has a callback.

An event is queued *before* its outcome is recorded, or before a provider's report is acknowledged. So a crash in
between leads to a second event with the same id, and never to an outcome without an event. For a tenant without a
callback nothing is called: that it has none is a setting like the others of its mail.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mailroom.aws.client import MAX_ATTEMPTS, Aws
from mailroom.callbacks.queue import OutcomeQueue, QueuedEvent
from mailroom.errors import DeliveryError, TemporaryFailure
from mailroom.ledger.hashes import keyed_hash
from mailroom.model.event import Event
from mailroom.model.mailbox import canonical, is_address
from mailroom.model.message import Message
from mailroom.model.outcome import Outcome
from mailroom.model.outcome_event import OutcomeEvent
from mailroom.model.record import Record
from mailroom.settings import Settings

__all__ = ["Outbox"]

MAX_REMEMBERED = 1000  # ids of events that this process has queued: while the ledger is away, an outcome comes again
MAX_WAITING = 1000  # events that could not be queued; each takes about a kilobyte


class Outbox:
    """Queues outcome events. Several threads may use it at the same time. Without a queue, it does nothing."""

    def __init__(
        self,
        settings: Settings,
        queue: OutcomeQueue | None,
        clock: Callable[[], float] = time.time,
        *,
        has_bus: bool = False,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._has_bus = has_bus
        self._clock = clock
        self._queued: set[str] = set()
        self._waiting: deque[QueuedEvent] = deque(maxlen=MAX_WAITING)

    @classmethod
    def from_env(cls, aws: Aws, settings: Settings) -> "Outbox":
        queue = OutcomeQueue.from_env(aws) if os.environ.get("OUTCOMES_QUEUE_URL") else None
        return cls(settings, queue, has_bus=bool(os.environ.get("OUTCOME_BUS")))

    def reports(self, tenant: str) -> bool:
        """Return whether somebody gets the outcomes of a tenant's mail."""
        if self._queue is None or self._has_bus:
            return self._queue is not None
        try:
            return self._settings.callback(tenant) is not None
        except DeliveryError:
            return True  # as long as its settings cannot be read, or are malformed

    def add_outcome(self, message: Message, outcome: Outcome) -> None:
        """Queue the event of a final outcome that is about to be recorded.

        A queue that fails delays no mail: the event waits in this process, and is queued with the next one.
        """
        if not self.reports(message.tenant):
            return
        try:
            recipient = keyed_hash(self._settings.address_key(), canonical(message.to))
            event = OutcomeEvent.of_outcome(message, outcome, recipient, self._clock())
            if event and (queued := self._accepted(event)):
                self._put(queued)
        except DeliveryError as error:
            self._settings.report(error)

    def add_report(self, event: Event, record: Record) -> None:
        """Queue the event of a provider's report; raise TemporaryFailure where its provider has to report again."""
        if not self.reports(record.tenant):
            return
        try:
            outcome_event = OutcomeEvent.of_report(event, record, self._address(event, record))
            if outcome_event and self._queue and (queued := self._accepted(outcome_event)):
                self._queue.put(queued)
                self._remember(queued)
        except TemporaryFailure:
            raise
        except DeliveryError as error:  # a queue that is missing, or denied: no report is refused for it
            self._settings.report(error)

    def _accepted(self, event: OutcomeEvent) -> QueuedEvent | None:
        """Return the event as it is queued; None where its receiver does not take it, or it is queued already."""
        if event.id in self._queued:
            return None
        try:
            callback = self._settings.callback(event.tenant)
        except DeliveryError as error:  # notify reads the setting again, and corrected ones for a day
            self._settings.report(error)
            callback = None
        if callback and not callback.takes(event.type) and not self._has_bus:
            return None
        is_private = not (callback and callback.include_address)
        return QueuedEvent(replace(event, address="") if is_private else event, self._clock())

    def _put(self, queued: QueuedEvent) -> None:
        """Queue an event, and those that wait; one that cannot be queued waits from now on."""
        while self._queue:
            try:
                self._queue.put(queued, attempts=1 if self._waiting else MAX_ATTEMPTS)
            except DeliveryError:
                self._waiting.append(queued)
                raise
            self._remember(queued)
            try:
                queued = self._waiting.popleft()
            except IndexError:
                return

    def _remember(self, queued: QueuedEvent) -> None:
        if len(self._queued) >= MAX_REMEMBERED:
            self._queued.clear()  # a set that is iterated over would be no place for several threads
        self._queued.add(queued.event.id)

    def _address(self, event: Event, record: Record) -> str:
        """Return the address of a report where it is the one that we wrote to: a server may report another."""
        if not is_address(event.recipient):
            return ""
        recipient = keyed_hash(self._settings.address_key(), canonical(event.recipient))
        return event.recipient if recipient == record.recipient else ""
