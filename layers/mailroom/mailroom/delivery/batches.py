"""Bursts: many fresh messages in one request to a provider that takes them and knows a request by its key.

A copy of a batch goes onto the queue before its messages leave it, so that a crash loses none. Then the ledger gives
each message to one request of the batch. Whoever receives the copy later repeats exactly that request, and the provider
recognizes it: see batch_requests.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailroom.delivery.batch import Batch, Request
from mailroom.delivery.batch_requests import CALLED_OFF, DISSOLVED, Mail, RequestSender, Result
from mailroom.delivery.deliver import Delivery, Ready
from mailroom.delivery.dispatch import MAX_GATE_WAIT_SECONDS, MAX_REQUEST_SECONDS
from mailroom.delivery.seal import is_authentic
from mailroom.errors import ClaimedElsewhere, DeliveryError
from mailroom.ledger.table import LEASE_SECONDS, NOBODY
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Status

__all__ = ["Batcher"]

SECONDS_NEEDED = 12.0  # to claim, render, send and record a full batch
MIN_LIFETIME_SECONDS = 60.0  # with less left, a message would expire while its request is in doubt


@dataclass(frozen=True, slots=True)
class Batcher:
    """Sends batches."""

    delivery: Delivery

    def suits(self, parcel: Parcel) -> bool:
        """Return whether a parcel may share a request with others."""
        delivery, message = self.delivery, parcel.message
        if not parcel.is_fresh or message.expires_at - delivery.clock() < MIN_LIFETIME_SECONDS:
            return False
        account = self.account_of(parcel)
        if not delivery.dispatch.takes_batches(account) or self._may_have_images(message):
            return False
        return delivery.dispatch.gate(account).wait(delivery.clock()) <= MAX_GATE_WAIT_SECONDS

    def _takes(self, ready: Ready) -> bool:
        """Return whether a mail may share a request: Resend's takes no attachments (its documentation, 2026-11)."""
        return not ready.email.images and self.delivery.dispatch.takes_batches(ready.chain[0])

    def _may_have_images(self, message: Message) -> bool:
        """Return whether the mail of a message may have pictures inside, which no batch request takes."""
        try:
            return self.delivery.settings.brand(message.tenant).get("inline_logo") == "true"
        except DeliveryError:
            return True  # as its own delivery will record

    def account_of(self, parcel: Parcel) -> str:
        """Return the first account of a parcel's chain; empty where its settings are wrong, or cannot be read."""
        settings, message = self.delivery.settings, parcel.message
        try:
            settings.prefetch(message.tenant, message.purpose)
            chain = settings.sender(message.tenant, message.purpose).providers
        except DeliveryError:
            return ""  # as its own delivery will record
        return chain[0] if chain else ""

    def enqueue(self, batch: Batch, delay: float) -> None:
        self.delivery.queue.put(batch, delay)

    def send_new(self, batch: Batch, deadline: float) -> Iterator[Result]:
        """Send a batch whose messages no process has worked on yet. Its copy is on the queue."""
        yield from self._send_free(RequestSender(self.delivery, batch, deadline), batch.parcels)

    def send_copy(self, batch: Batch, deadline: float) -> Iterator[Result]:
        """Finish a batch that came back: repeat the requests that are in doubt, send what is free."""
        if self.delivery.clock() + SECONDS_NEEDED > deadline:
            self.enqueue(batch, 0)
            return
        sender = RequestSender(self.delivery, batch, deadline)
        rows = self.delivery.ledger.read_many([parcel.message.id for parcel in batch.parcels])
        free, requests = self._sort(sender, rows)
        is_partial = False
        for request, parcels in requests.items():
            unfinished = {p.message.id for p in parcels if rows[p.message.id]["status"] == Status.ACCEPTED}
            lease_seconds = max((rows[i]["lease"] for i in unfinished), default=0.0) - self.delivery.clock()
            if lease_seconds > 0:
                raise ClaimedElsewhere(lease_seconds)
            if not unfinished:
                continue
            decision = sender.decide(request, CALLED_OFF)
            if decision == CALLED_OFF:
                sender.call_off(request, [parcel for parcel in parcels if parcel.message.id in unfinished])
                free |= unfinished
            elif decision == DISSOLVED:
                yield from sender.dissolve(request, parcels, unfinished)
            elif decision in ("", request.key(parcels)):
                yield from sender.repeat(request, parcels, unfinished)
            else:  # this copy has a part of the request only: another one repeats it
                is_partial = True
        if free:
            parcels = [parcel for parcel in batch.parcels if parcel.message.id in free]
            yield from self._send_free(sender, parcels)
        if is_partial:
            raise ClaimedElsewhere(LEASE_SECONDS)

    def _sort(
        self, sender: RequestSender, rows: Mapping[str, Mapping[str, Any]]
    ) -> tuple[set[str], dict[Request, list[Parcel]]]:
        """Return the ids of the members that are free, and the members of each request.

        Others have left the batch, or never were in it. Their parcels are enqueued where this copy may be the last one.
        """
        batch, free, requests = sender.batch, set[str](), dict[Request, list[Parcel]]()
        for parcel in batch.parcels:
            row = rows.get(parcel.message.id)
            if row is None:
                free.add(parcel.message.id)
                continue
            name, is_open = str(row.get("batch", "")), row["status"] == Status.ACCEPTED
            is_first = is_open and row["attempt"] == 0
            if is_first and row["claim"] == NOBODY:
                free.add(parcel.message.id)
            elif name == batch.alone and is_open:  # its own parcel may not be on the queue yet
                sender.enqueue_alone(parcel, doubts=tuple(row.get("offered", ())))
            elif not name and is_first:  # claimed alone by a process that got no answer and put it back, or died
                sender.enqueue_alone(parcel, attempt=0)
            elif (request := batch.request_named(name)) and row["status"] != Status.SKIPPED:
                requests.setdefault(request, []).append(parcel)
        return free, requests

    def _send_free(self, sender: RequestSender, parcels: Sequence[Parcel]) -> Iterator[Result]:
        groups: dict[tuple[str, bool], list[Mail]] = {}  # by account, and whether there is another
        others: list[Parcel] = []
        key = self.delivery.settings.address_key()
        suppressed = self.delivery.ledger.suppressed(parcels, key, self.delivery.clock())
        for parcel in parcels:
            self.delivery.settings.prefetch(parcel.message.tenant, parcel.message.purpose)
            try:
                due = self.delivery.with_lifetime(parcel)
                is_suppressed = parcel.message.id in suppressed
                ready = self.delivery.prepare(due, is_suppressed=is_suppressed) if is_authentic(parcel, key) else None
            except DeliveryError:
                raise
            except Exception:  # noqa: BLE001 - one message that fails to render takes no other along
                sender.enqueue_alone(parcel, attempt=0)
                continue
            if isinstance(ready, Ready) and self._takes(ready):
                groups.setdefault((ready.chain[0], len(ready.chain) > 1), []).append((parcel, ready))
            else:
                others.append(parcel)
        for (account, _), mails in groups.items():
            yield from sender.send(account, mails, others)
        for parcel in others:
            yield from self._send_alone(sender, parcel)

    def _send_alone(self, sender: RequestSender, parcel: Parcel) -> Iterator[Result]:
        """Deliver a member that cannot share a request; where that has to wait, it waits as a parcel of its own."""
        if self.delivery.clock() + MAX_REQUEST_SECONDS > sender.deadline:
            return sender.enqueue_alone(parcel, attempt=0)
        try:
            outcome = self.delivery.receive(replace(parcel, alone=True), sender.deadline)
        except ClaimedElsewhere as error:
            return sender.enqueue_alone(parcel, error.retry_after or LEASE_SECONDS, attempt=0)
        if outcome:
            yield parcel.message, outcome
