"""Posts queued outcome events to the endpoints of their tenants, over and over for a day, and then keeps them.

An event whose endpoint fails goes back as a *new* message with a growing delay. The receive count of the queue is for
messages that crash us only.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mailroom.aws.client import Aws
from mailroom.callbacks.breaker import Breaker, spread
from mailroom.callbacks.bus import EventBus
from mailroom.callbacks.endpoint import MAX_REQUEST_SECONDS, PostResult, post, transport
from mailroom.callbacks.queue import OutcomeQueue, QueuedEvent
from mailroom.errors import ConfigurationError, DeliveryError, TemporaryFailure
from mailroom.model.callback import Callback
from mailroom.model.outcome_event import OutcomeEvent
from mailroom.network.http import Transport
from mailroom.settings import Settings

__all__ = ["Notification", "Notifier", "PostStatus"]

RETRY_SECONDS = (5.0, 30.0, 120.0, 300.0, 900.0)  # the last one again and again: SQS delays no message longer
MAX_AGE_SECONDS = 24 * 3600.0
MAX_ENDPOINTS = 10  # at the same time: as many as one invocation has records
OUTAGE_SECONDS = 30.0  # until an event comes back that met an outage of the parameter store


class PostStatus(StrEnum):
    """The state of an event after one invocation."""

    POSTED = "posted"
    RETRIED = "retried"  # its endpoint did not accept it, and gets it again later
    WAITING = "waiting"  # no request was made: the breaker is open, or no time was left
    DEAD = "dead"  # on the dead-letter queue
    DROPPED = "dropped"  # its tenant has no callback any more, or takes no events of this type
    KEPT = "kept"  # stays on the queue: it cannot be read, or could not be put back


@dataclass(frozen=True, slots=True)
class Notification:
    """One line for the log. A record that is `KEPT` is received again."""

    record_id: str
    status: PostStatus
    event: OutcomeEvent | None = None
    attempts: int = 0
    reason: str = ""
    retry_in: float | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A record of the queue, and its event."""

    record_id: str
    queued: QueuedEvent


@dataclass(slots=True)
class Notifier:
    """Everything one process needs to post events, kept warm between invocations."""

    settings: Settings
    queue: OutcomeQueue
    transport: Transport
    bus: EventBus | None = None
    clock: Callable[[], float] = time.time
    breakers: dict[str, Breaker] = field(default_factory=dict)  # by URL: a new one of a tenant gets its chance
    # Its threads start when they are needed.
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(MAX_ENDPOINTS))

    @classmethod
    def from_env(cls, aws: Aws) -> "Notifier":
        return cls(Settings.from_env(aws), OutcomeQueue.from_env(aws), transport(), EventBus.from_env(aws))

    def process(self, records: Sequence[Mapping[str, Any]], deadline: float) -> Iterator[Notification]:
        """Post the event of each record: those of one tenant in their order, those of different tenants in parallel."""
        tenants: dict[str, list[Item]] = {}
        for record in records:
            try:
                item = Item(record["messageId"], QueuedEvent.from_json(record["body"]))
            except (ValueError, KeyError, TypeError) as error:
                yield Notification(record["messageId"], PostStatus.KEPT, reason="unreadable", error=error)
            else:
                tenants.setdefault(item.queued.event.tenant, []).append(item)
        run = self.pool.map if len(tenants) > 1 else map
        for notifications in run(lambda items: self._post_all(items, deadline), tenants.values()):
            yield from notifications

    def _post_all(self, items: Sequence[Item], deadline: float) -> list[Notification]:
        ordered = sorted(items, key=lambda item: item.queued.event.at)
        return [self._settle(item, deadline) for item in ordered]

    def _settle(self, item: Item, deadline: float) -> Notification:
        try:
            return self._process(item, deadline)
        except DeliveryError as error:  # the queue is away: the record comes back after its visibility timeout
            return Notification(item.record_id, PostStatus.KEPT, item.queued.event, error=error)
        except Exception as error:  # noqa: BLE001 - one poisonous event takes no other along
            return Notification(item.record_id, PostStatus.KEPT, item.queued.event, reason="crashed", error=error)

    def _process(self, item: Item, deadline: float) -> Notification:
        event = item.queued.event
        if self.bus and not item.queued.is_on_bus:
            try:
                self.bus.put(event)
            except DeliveryError as error:
                return self._retry(item, PostResult("bus_failed"), error)
            item = replace(item, queued=replace(item.queued, is_on_bus=True))
        try:
            callback = self.settings.callback(event.tenant)
        except TemporaryFailure as error:
            return self._put_back(item, PostStatus.WAITING, "no_settings", OUTAGE_SECONDS, error)
        except ConfigurationError as error:  # an operator may correct it within the day
            return self._retry(item, PostResult("malformed_settings"), error)
        if callback is None or not callback.takes(event.type):
            status = PostStatus.POSTED if item.queued.is_on_bus else PostStatus.DROPPED
            return Notification(item.record_id, status, event, reason="no_callback")
        breaker = self.breakers.setdefault(callback.url, Breaker())
        if wait := breaker.wait(self.clock()):
            return self._put_back(item, PostStatus.WAITING, "breaker_open", wait)
        if self.clock() + MAX_REQUEST_SECONDS > deadline:
            return self._put_back(item, PostStatus.WAITING, "no_time_left", 0)
        return self._post(item, callback, breaker)

    def _post(self, item: Item, callback: Callback, breaker: Breaker) -> Notification:
        event = item.queued.event
        if not callback.include_address:
            event = replace(event, address="")  # the tenant may have changed its mind since
        result = post(self.transport, callback, event, self.clock())
        if result.is_accepted:
            breaker.succeeded()
            return Notification(item.record_id, PostStatus.POSTED, event, item.queued.attempts + 1)
        if not result.is_gone:  # no request is saved by waiting: each event becomes a dead letter
            breaker.failed(self.clock(), is_down=not result.status, retry_after=result.retry_after)
        return self._retry(item, result)

    def _retry(self, item: Item, result: PostResult, error: Exception | None = None) -> Notification:
        """Put an event that was not accepted back with one attempt more, or onto the dead letters after a day."""
        item = replace(item, queued=replace(item.queued, attempts=item.queued.attempts + 1))
        if result.is_gone:
            return self._give_up(item, result.reason)
        wait = spread(RETRY_SECONDS[min(item.queued.attempts, len(RETRY_SECONDS)) - 1])
        wait = min(max(wait, result.retry_after), RETRY_SECONDS[-1])
        return self._put_back(item, PostStatus.RETRIED, result.reason, wait, error)

    def _put_back(
        self, item: Item, status: PostStatus, reason: str, wait: float, error: Exception | None = None
    ) -> Notification:
        queued = item.queued
        if self.clock() + wait > queued.queued_at + MAX_AGE_SECONDS:
            return self._give_up(item, reason, error)
        self.queue.put(queued, wait, attempts=1)
        return Notification(item.record_id, status, queued.event, queued.attempts, reason, wait, error)

    def _give_up(self, item: Item, reason: str, error: Exception | None = None) -> Notification:
        queued = item.queued
        self.queue.dead_letter(queued)
        return Notification(item.record_id, PostStatus.DEAD, queued.event, queued.attempts, reason, error=error)
