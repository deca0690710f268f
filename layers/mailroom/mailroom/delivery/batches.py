"""A burst, sent in few requests: fresh parcels of one lane packed into a crate, for a provider that takes many at once.

Who packs a crate sends it. Before that a copy of it goes onto the queue, for later, and only then do its parcels leave
it; its id is the provider's idempotency key for all of it. So a crash repeats the whole crate, and the provider knows
it; without one, the copy finds that all is done. What the provider refuses as a whole is offered mail by mail.

A crate that comes too early, or to somebody who packs, goes back as a new message of the queue: each time that SQS
hands one over counts, and the tenth sends it to the dead letters, a hundred mails at once (seen in a burst, 2026-11).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailroom.delivery.deliver import Delivery, Ready
from mailroom.delivery.dispatch import BACKOFF
from mailroom.errors import ClaimedElsewhere, DeliveryError, TemporaryFailure, UnknownOutcome
from mailroom.ledger.table import LEASE
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import Receipt

__all__ = ["Batch", "Batcher"]

FULL = 10  # as many as Lambda hands over at once: when it does, more are waiting
MOST = 100
HEAVIEST = 200_000  # characters of JSON; the smallest limit that SQS has had is 256 KiB
SOON = 10.0  # seconds: a rate limit passes in this time, a used-up quota does not
TIME_NEEDED = 12.0  # seconds to claim, render, send and record a full one
LATER = LEASE  # seconds: when the copy of a crate comes, who packed it is done or dead


@dataclass(frozen=True, slots=True)
class Batch:
    """Fresh parcels that travel, and are sent, as one."""

    id: str
    parcels: tuple[Parcel, ...]
    lane: Lane
    attempt: int = 0
    doubted: bool = False  # its provider may have taken it and never said so

    def to_json(self) -> str:
        packed = [json.loads(parcel.to_json()) for parcel in self.parcels]
        values = {"crate": self.id, "lane": self.lane, "attempt": self.attempt, "doubted": self.doubted}
        return json.dumps({**values, "parcels": packed}, separators=(",", ":"))

    @classmethod
    def from_json(cls, body: str) -> "Batch | None":
        """Read a crate; None if this is none."""
        values = json.loads(body)
        if "crate" not in values:
            return None
        parcels = tuple(Parcel.from_json(json.dumps(parcel)) for parcel in values["parcels"])
        return cls(values["crate"], parcels, Lane(values["lane"]), values["attempt"], values["doubted"])


@dataclass(frozen=True, slots=True)
class Batcher:
    """Packs crates, and delivers them."""

    delivery: Delivery

    def pack(self, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """In a burst, take more from the queue and pack what is fresh; return what is to be delivered now."""
        queue, chain = self.delivery.queue, self.delivery.settings.chain
        fresh = [record for record in records if _fresh(record)]
        if len(records) < FULL or not fresh or not chain or not self.delivery.dispatch.takes_many(chain[0]):
            return list(records)
        source = records[0]["eventSourceARN"]
        pulled = self._pull(source)
        parcels = [parcel for record in (*fresh, *pulled) if (parcel := _fresh(record))]
        batches = list(_batches(parcels))
        for number, batch in enumerate(batches):
            queue.put(batch, LATER if number < len(fresh) else 0)
        queue.delete(source, [record["receiptHandle"] for record in pulled if _fresh(record) or self._renew(record)])
        # Each crate travels on as one of the records that were packed: should it fail, that is the one that stays.
        packed = [{**record, "body": batch.to_json()} for record, batch in zip(fresh, batches, strict=False)]
        return packed + [record for record in records if not _fresh(record)]

    def _pull(self, source_arn: str) -> list[Mapping[str, Any]]:
        pulled: list[Mapping[str, Any]] = []
        while len(pulled) < MOST - FULL and (more := self.delivery.queue.receive(source_arn)):
            pulled += more
            if not all(map(_fresh, more)):
                break  # what is fresh comes to an end
        return pulled

    def _renew(self, record: Mapping[str, Any]) -> bool:
        """Put what we pulled and cannot pack back as a new message of its queue; False if nobody can read it."""
        queue = self.delivery.queue
        try:
            queue.put(Batch.from_json(record["body"]) or Parcel.from_json(record["body"]))
        except (ValueError, KeyError, TypeError):
            queue.postpone(record["eventSourceARN"], record["receiptHandle"], 0)  # let it count
            return False
        return True

    def deliver(self, body: str, deadline: float) -> Iterator[tuple[Message, Outcome | None]]:
        """Deliver what one record of a queue holds: a parcel, or a crate of them."""
        batch = Batch.from_json(body)
        if batch:
            yield from self._unpack(batch, deadline)
        else:
            parcel = Parcel.from_json(body)
            yield parcel.message, self.delivery.deliver(parcel, deadline)

    def _unpack(self, batch: Batch, deadline: float) -> Iterator[tuple[Message, Outcome]]:
        if self.delivery.clock() + TIME_NEEDED > deadline:
            self.delivery.queue.put(batch)
            return
        together: dict[str, list[tuple[Parcel, Ready]]] = {}
        for parcel in batch.parcels:
            try:
                taken = self.delivery.take(parcel, batch.id)
            except ClaimedElsewhere:
                taken = False  # its own parcel came back after a crash; who works on it now has it on the queue, too
            if not taken:
                continue
            seen = self._look(batch, parcel)
            if isinstance(seen, Ready):
                together.setdefault(seen.chain[0], []).append((parcel, seen))
            else:
                yield parcel.message, self.delivery.settle(batch.id, seen, parcel.again(None))
        for provider, mails in together.items():
            yield from self._send(batch, provider, mails, deadline)

    def _look(self, batch: Batch, parcel: Parcel) -> Outcome | Ready:
        seen = self.delivery.look(parcel)
        if batch.doubted and isinstance(seen, Outcome) and seen.status is Status.SKIPPED:
            return Outcome(Status.UNKNOWN, seen.reason)  # it may have gone with an earlier try, and nobody said so
        return seen

    def _send(
        self, batch: Batch, provider: str, mails: list[tuple[Parcel, Ready]], deadline: float
    ) -> Iterator[tuple[Message, Outcome]]:
        try:
            emails = [ready.email for _, ready in mails]
            receipts = self.delivery.dispatch.send_batch(provider, emails, f"{batch.id}-{provider}")
        except DeliveryError as error:
            if batch.doubted or isinstance(error, UnknownOutcome) or self._passes_soon(error, batch.attempt):
                yield from self._later(batch, error, [parcel for parcel, _ in mails])
                return
            # Nothing was taken: each for itself, so that one bad address or a dead provider holds up no other.
            for parcel, ready in mails:
                outcome, again = self.delivery.offer(parcel, ready, deadline)
                yield parcel.message, self.delivery.settle(batch.id, outcome, again)
            return
        for (parcel, ready), receipt in zip(mails, receipts, strict=True):
            yield parcel.message, self.delivery.settle(batch.id, self._sent(provider, receipt, ready), parcel)

    def _passes_soon(self, error: DeliveryError, attempt: int) -> bool:
        """Tell a rate limit, and a first failure, from what only another provider or an operator can help."""
        if error.retry_after is not None:
            return error.retry_after <= SOON
        return isinstance(error, TemporaryFailure) and attempt == 0

    def _sent(self, provider: str, receipt: Receipt, ready: Ready) -> Outcome:
        tries = (Attempt(self.delivery.clock(), provider, "accepted"),)
        return Outcome(Status.SENT, "", provider, receipt.id, tries, warnings=ready.warnings, problems=ready.problems)

    def _later(self, batch: Batch, error: DeliveryError, parcels: list[Parcel]) -> Iterator[tuple[Message, Outcome]]:
        """Put the crate on the queue once more. Where the provider may have it, it knows it by the crate's id only."""
        delay = error.retry_after or BACKOFF[min(batch.attempt, len(BACKOFF) - 1)]
        outcome = Outcome(
            Status.ACCEPTED, error.code, tries=(Attempt.of(error, self.delivery.clock()),), retry_in=delay
        )
        doubted = batch.doubted or isinstance(error, UnknownOutcome)
        again = replace(batch, parcels=tuple(parcels), attempt=batch.attempt + 1, doubted=doubted)
        self.delivery.queue.put(again, delay)
        for parcel in parcels:
            self.delivery.ledger.release(parcel.message.id, batch.id, parcel.attempt, outcome)
            yield parcel.message, outcome


def _fresh(record: Mapping[str, Any]) -> Parcel | None:
    """Return the parcel in a record, if it was never tried; anything else takes its own way."""
    try:
        parcel = Parcel.from_json(record["body"])
    except (ValueError, KeyError, TypeError):
        return None
    return parcel if parcel.attempt == 0 and parcel.email is None else None


def _batches(parcels: Sequence[Parcel]) -> Iterator[Batch]:
    packed: list[Parcel] = []
    weight = 0
    for parcel in parcels:
        size = len(parcel.to_json())
        if packed and (weight + size > HEAVIEST or len(packed) == MOST):
            yield Batch(new_id(), tuple(packed), packed[0].lane)
            packed, weight = [], 0
        # One try ahead: should the parcel's own copy come back after a crash, the ledger knows it for the older one.
        packed.append(replace(parcel, attempt=parcel.attempt + 1))
        weight += size
    if packed:
        yield Batch(new_id(), tuple(packed), packed[0].lane)
