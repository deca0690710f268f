"""Batches: in a burst, many fresh messages in one request to a provider that takes them and knows a request by its key.

A copy of the batch goes onto the queue before its messages leave it, so that a crash loses none. Then the ledger gives
each message to one *request* of the batch, named in the row's `batch`. The request's key is made from the ids of its
very mails; whoever receives the copy later repeats exactly that request, and the provider recognizes it:

- A message belongs to a request from before the request leaves until its outcome. Its own queued copy, should it come
  back, finds it taken and is dropped.
- If anything about a claim is unclear, the request does not leave. So the rows that name a request are the mails that
  were in it, or it never left.
- The key of a request is recorded right before it leaves. A request without that record is called off, by one in the
  same place, and its messages are free: they are checked again, and leave in another. Whoever repeats a request has all
  of its mails, by that key: copies of a batch may have parts of it.
- A request that was refused for certain ends: its messages are free for another request, or travel alone.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailroom.delivery import asked_again
from mailroom.delivery.chain import in_order
from mailroom.delivery.deliver import Check, Delivery, Ready
from mailroom.delivery.dispatch import MAX_GATE_WAIT_SECONDS, MAX_REQUEST_SECONDS
from mailroom.delivery.parallel import run_shares
from mailroom.delivery.retry import postponement
from mailroom.delivery.seal import is_authentic, seal
from mailroom.errors import ClaimedElsewhere, ConfigurationError, DeliveryError, TemporaryFailure, UnknownOutcome
from mailroom.ledger.table import LEASE_SECONDS, NOBODY
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import Receipt

__all__ = ["CALLED_OFF", "COPY_DELAY_SECONDS", "MAX_CHARACTERS", "Batch", "Batcher", "split"]

MAX_MAILS = 100
MAX_CHARACTERS = 200_000  # of JSON; the smallest limit that SQS has had is 256 KiB
SOON_SECONDS = 10.0  # a rate limit passes in this time, a used-up quota does not
SECONDS_NEEDED = 12.0  # to claim, render, send and record a full one
MIN_LIFETIME_SECONDS = 60.0  # with less left, a message would expire while its request is in doubt
CALLED_OFF = "called_off"
RECORDED = "recorded"  # in the name of a request; those of processes before 2026-12 left without a record
COPY_DELAY_SECONDS = LEASE_SECONDS  # the copy of a batch arrives when its first process is done or dead

Result = tuple[Message, Outcome]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that travel together, and are sent in as few requests as possible."""

    id: str
    parcels: tuple[Parcel, ...]
    lane: Lane
    postponed: int = 0

    @property
    def tenant(self) -> str:
        tenants = {parcel.tenant for parcel in self.parcels}
        return tenants.pop() if len(tenants) == 1 else ""

    def to_json(self) -> str:
        values = json.dumps({"batch": self.id, "lane": self.lane, "postponed": self.postponed})
        return f'{values[:-1]},"parcels":[{",".join(parcel.to_json() for parcel in self.parcels)}]}}'

    @classmethod
    def from_json(cls, body: str) -> "Batch | None":
        """Read a batch; None for the body of anything else."""
        values = json.loads(body)
        return cls.from_dict(values) if "parcels" in values else None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Batch":
        parcels = tuple(Parcel.from_dict(parcel) for parcel in values["parcels"])
        return cls(values.get("batch", ""), parcels, Lane(values["lane"]), values.get("postponed", 0))


def split(parcels: Iterable[Parcel]) -> Iterator[Batch]:
    """Return batches of distinct messages, the oldest first, each small enough for the queue."""
    packed: list[Parcel] = []
    size = 0
    distinct = {parcel.message.id: parcel for parcel in parcels}
    for parcel in sorted(distinct.values(), key=lambda parcel: (parcel.message.created_at, parcel.message.id)):
        characters = len(parcel.to_json())
        if packed and (size + characters > MAX_CHARACTERS or len(packed) == MAX_MAILS):
            yield Batch(new_id(), tuple(packed), packed[0].lane)
            packed, size = [], 0
        packed.append(parcel)
        size += characters
    if packed:
        yield Batch(new_id(), tuple(packed), packed[0].lane)


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
        yield from self._send_free(batch, batch.parcels, deadline)

    def send_copy(self, batch: Batch, deadline: float) -> Iterator[Result]:
        """Finish a batch that came back: repeat the requests that are in doubt, send what is free."""
        if self.delivery.clock() + SECONDS_NEEDED > deadline:
            self.enqueue(batch, 0)
            return
        rows = self.delivery.ledger.read_many([parcel.message.id for parcel in batch.parcels])
        requests: dict[str, list[Parcel]] = {}
        free: set[str] = set()
        is_partial = False
        for parcel in batch.parcels:
            row = rows.get(parcel.message.id)
            request = str(row.get("batch", "")) if row else ""
            if row is None or (row["status"] == Status.ACCEPTED and row["attempt"] == 0 and row["claim"] == NOBODY):
                free.add(parcel.message.id)
            elif request == _alone(batch):
                if row["status"] == Status.ACCEPTED:  # its own parcel may not be on the queue yet
                    self._enqueue_alone(parcel)
            elif not request and row["status"] == Status.ACCEPTED and row["attempt"] == 0:
                # Claimed alone by a process that got no answer and put it back, or died: this may be the last copy.
                self._enqueue_alone(parcel, attempt=0)
            elif request.startswith(f"{batch.id} ") and row["status"] != Status.SKIPPED:
                requests.setdefault(request, []).append(parcel)
        for request, parcels in requests.items():
            unfinished = {p.message.id for p in parcels if rows[p.message.id]["status"] == Status.ACCEPTED}
            lease_seconds = max((rows[i]["lease"] for i in unfinished), default=0.0) - self.delivery.clock()
            if lease_seconds > 0:
                raise ClaimedElsewhere(lease_seconds)
            if not unfinished:
                continue
            decision = self._decide(request, CALLED_OFF)
            if decision == CALLED_OFF:
                started = [parcel for parcel in parcels if parcel.message.id in unfinished]
                self._set_free(started, request.split(" ")[2], Outcome(Status.ACCEPTED, CALLED_OFF))
                free |= unfinished
            elif decision in ("", _key(request, parcels)):
                yield from self._repeat(batch, request, parcels, unfinished, deadline)
            else:  # this copy has a part of the request only: another one repeats it
                is_partial = True
        if free:
            parcels = [parcel for parcel in batch.parcels if parcel.message.id in free]
            yield from self._send_free(batch, parcels, deadline)
        if is_partial:
            raise ClaimedElsewhere(LEASE_SECONDS)

    def _send_free(self, batch: Batch, parcels: Sequence[Parcel], deadline: float) -> Iterator[Result]:
        groups: dict[str, list[tuple[Parcel, Ready]]] = {}
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
                self._enqueue_alone(parcel, attempt=0)
                continue
            if isinstance(ready, Ready) and self._takes(ready):
                groups.setdefault(ready.chain[0], []).append((parcel, ready))
            else:
                others.append(parcel)
        for account, mails in groups.items():
            yield from self._send_group(batch, account, mails, others, deadline)
        for parcel in others:
            yield from self._send_alone(parcel, deadline)

    def _send_alone(self, parcel: Parcel, deadline: float) -> Iterator[Result]:
        """Deliver a member that cannot share a request; where that has to wait, it waits as a parcel of its own."""
        if self.delivery.clock() + MAX_REQUEST_SECONDS > deadline:
            return self._enqueue_alone(parcel, attempt=0)
        try:
            outcome = self.delivery.receive(replace(parcel, alone=True), deadline)
        except ClaimedElsewhere as error:
            return self._enqueue_alone(parcel, error.retry_after or LEASE_SECONDS, attempt=0)
        if outcome:
            yield parcel.message, outcome

    def _send_group(
        self, batch: Batch, account: str, mails: list[tuple[Parcel, Ready]], others: list[Parcel], deadline: float
    ) -> Iterator[Result]:
        """Claim messages for one request and send it; those that are not free join `others`."""
        delivery, parcels = self.delivery, [parcel for parcel, _ in mails]
        gate_wait = delivery.dispatch.gate(account).wait(delivery.clock())
        if gate_wait > MAX_GATE_WAIT_SECONDS:
            return self._postpone(batch, parcels, gate_wait)
        delivery.dispatch.sleep_briefly(gate_wait)
        token, started, key = secrets.token_hex(8), delivery.clock(), delivery.settings.address_key()
        request = f"{batch.id} {account} {token} {RECORDED}"
        latest = min(deadline, started + LEASE_SECONDS) - MAX_REQUEST_SECONDS

        def claim(share: Sequence[Parcel]) -> Iterator[dict[str, bool]]:
            claims: dict[str, bool] = {}
            for parcel in share:
                if (now := delivery.clock()) <= latest:
                    is_ours = delivery.ledger.claim_for_batch(parcel, key, request, token, now, account)
                    claims[parcel.message.id] = is_ours
            yield claims

        claims: dict[str, bool] = {}
        for claimed in run_shares(claim, parcels):
            claims |= claimed
        late = [parcel for parcel in parcels if parcel.message.id not in claims]
        others += [parcel for parcel in parcels if not claims.get(parcel.message.id, True)]
        ours = [mail for mail in mails if claims.get(mail[0].message.id)]
        checked_at = delivery.clock()
        checks = self._last_checks([parcel for parcel, _ in ours])
        leaving: list[tuple[Parcel, Ready]] = []
        for parcel, ready in ours:
            check = checks[parcel.message.id]
            if check.reason:
                outcome = Outcome(Status.SKIPPED, check.reason, warnings=check.warnings)
                delivery.finish(parcel.message, token, outcome)
                yield parcel.message, outcome
            elif behind := asked_again.account_of(delivery.ledger, check.replaced, ready.chain):
                yield self._set_apart(batch, parcel, token, ready.chain, behind)
            else:
                leaving.append((parcel, replace(ready, notes=check.warnings)))
        if late:
            self._postpone(batch, late, 0)
        if not leaving:
            return
        messages = [delivery.with_lifetime(parcel).message for parcel, _ in leaving]
        parcels = [parcel for parcel, _ in leaving]
        request_key = _key(request, parcels)
        may_leave = self._decide(request, request_key) == request_key
        if not may_leave or delivery.outdated(messages, checked_at) or delivery.clock() > latest:
            self._postpone(batch, parcels, 0)
            self._decide(request, CALLED_OFF, instead_of=request_key)
            return self._set_free(parcels, token, Outcome(Status.ACCEPTED, "no_time_left"))
        yield from self._request(
            batch, request, token, leaving, {parcel.message.id for parcel, _ in leaving}, in_doubt=False
        )

    def _last_checks(self, parcels: Sequence[Parcel]) -> dict[str, Check]:
        """Return the last check of each message, by its id; those of different recipients are made at the same time.

        Of one recipient the newest message is checked first: it may replace an older one beside it.
        """
        by_recipient: dict[tuple[str, str], list[Parcel]] = {}
        for parcel in reversed(parcels):
            by_recipient.setdefault((parcel.tenant, parcel.message.to.lower()), []).append(parcel)

        def check(share: Sequence[Sequence[Parcel]]) -> Iterator[dict[str, Check]]:
            due = (self.delivery.with_lifetime(parcel).message for group in share for parcel in group)
            yield {message.id: self.delivery.last_check(message) for message in due}

        checks: dict[str, Check] = {}
        for checked in run_shares(check, list(by_recipient.values())):
            checks |= checked
        return checks

    def _decide(self, request: str, decision: str, *, instead_of: str = "") -> str:
        """Record under which key a request leaves, or that it is called off; return the decision that counts.

        A decision is final, but for `instead_of` by a process that knows that its request has not arrived. Nothing is
        recorded, or returned, for a request that is not RECORDED.
        """
        if not request.endswith(f" {RECORDED}"):
            return ""
        return self.delivery.ledger.decide(request, decision, self.delivery.clock(), instead_of=instead_of)

    def _repeat(
        self, batch: Batch, request: str, parcels: Sequence[Parcel], unfinished: set[str], deadline: float
    ) -> Iterator[Result]:
        """Repeat a request that may have arrived, with the very mails that were in it."""
        delivery, token = self.delivery, secrets.token_hex(8)
        account = request.split(" ")[1]
        gate_wait = delivery.dispatch.gate(account).wait(delivery.clock())
        ends = [delivery.with_lifetime(parcel).message.expires_at for parcel in parcels]
        has_expired = min(ends) <= delivery.clock()
        if not has_expired and gate_wait > MAX_GATE_WAIT_SECONDS:
            return self._postpone(batch, parcels, gate_wait)
        for parcel in parcels:
            if parcel.message.id in unfinished and not delivery.ledger.claim_again(
                parcel.message.id, request, token, delivery.clock()
            ):
                raise ClaimedElsewhere(LEASE_SECONDS)
        if has_expired:
            # Without the expired mail it would be another request, and a second copy for the rest.
            for parcel in parcels:
                if parcel.message.id in unfinished:
                    yield self._give_up(parcel, token, account)
            return
        delivery.dispatch.sleep_briefly(gate_wait)
        mails = [(parcel, delivery.render(parcel)) for parcel in parcels]
        if delivery.clock() >= min(ends) or delivery.clock() + MAX_REQUEST_SECONDS > deadline:
            return self._postpone(batch, parcels, 0)
        yield from self._request(batch, request, token, mails, unfinished, in_doubt=True)

    def _request(
        self,
        batch: Batch,
        request: str,
        token: str,
        mails: list[tuple[Parcel, Ready]],
        unfinished: set[str],
        *,
        in_doubt: bool,
    ) -> Iterator[Result]:
        delivery, account = self.delivery, request.split(" ")[1]
        key = _key(request, [parcel for parcel, _ in mails])
        try:
            receipts = delivery.dispatch.send_batch(account, [ready.email for _, ready in mails], key)
        except DeliveryError as error:
            yield from self._refused(batch, request, token, mails, unfinished, error, in_doubt=in_doubt)
            return

        def finish(parcel: Parcel, ready: Ready, receipt: Receipt) -> Result:
            tries = (Attempt(delivery.clock(), account, "accepted"),)
            outcome = Outcome(Status.SENT, "", account, receipt.id, tries, None, ready.warnings, ready.problems)
            delivery.finish(parcel.message, token, outcome)
            if not in_doubt:
                delivery.watch(parcel.next_attempt(ready.email), token, outcome)
            return parcel.message, outcome

        def finish_share(share: Sequence[tuple[Parcel, Ready, Receipt]]) -> Iterator[list[Result]]:
            finished: list[Result] = []
            try:
                for mail in share:
                    finished.append(finish(*mail))
            except DeliveryError:
                yield finished  # these have their log lines, also where another fails
                raise
            yield finished

        accepted = [(*mail, receipt) for mail, receipt in zip(mails, receipts, strict=True)]
        for finished in run_shares(finish_share, [mail for mail in accepted if mail[0].message.id in unfinished]):
            yield from finished

    def _refused(
        self,
        batch: Batch,
        request: str,
        token: str,
        mails: list[tuple[Parcel, Ready]],
        unfinished: set[str],
        error: DeliveryError,
        *,
        in_doubt: bool,
    ) -> Iterator[Result]:
        delivery, account = self.delivery, request.split(" ")[1]
        members = [parcel for parcel, _ in mails]
        parcels = [parcel for parcel in members if parcel.message.id in unfinished]
        wait = postponement(batch.postponed, batch.lane, error.retry_after or 0.0)
        tries = (Attempt.of(error, delivery.clock(), account),)
        outcome = Outcome(Status.ACCEPTED, error.code, tries=tries, retry_in=wait)
        for parcel in parcels:
            delivery.ledger.tally.count_attempts(parcel.message.tenant, tries)
        if isinstance(error, UnknownOutcome) or (in_doubt and isinstance(error, TemporaryFailure | ConfigurationError)):
            # Also those that have an outcome, since a request is repeated with all of its mails.
            self._postpone(batch, members, wait)
            for parcel in parcels:
                delivery.ledger.release(
                    parcel.message.id, token, 0, outcome, (account,), batch=request, keep_claim=True
                )
        elif self._passes_soon(error, batch.postponed):
            self._postpone(batch, parcels, wait)
            self._decide(request, CALLED_OFF, instead_of=_key(request, members))
            self._set_free(parcels, token, outcome)
        else:
            # So that one bad address, or a dead account, holds up no other mail.
            outcome = replace(outcome, retry_in=0.0)
            self._decide(request, CALLED_OFF, instead_of=_key(request, members))
            for parcel in parcels:
                delivery.ledger.release(parcel.message.id, token, 1, outcome, batch=_alone(batch))
                self._enqueue_alone(parcel)
        for parcel in parcels:
            yield parcel.message, outcome

    def _passes_soon(self, error: DeliveryError, postponed: int) -> bool:
        """Return whether the same request is worth repeating: after a rate limit, and after a first failure."""
        if error.retry_after is not None:
            return error.retry_after <= SOON_SECONDS
        return isinstance(error, TemporaryFailure) and postponed == 0

    def _set_free(self, parcels: Iterable[Parcel], token: str, outcome: Outcome) -> None:
        for parcel in parcels:
            self.delivery.ledger.release(parcel.message.id, token, 0, outcome)

    def _postpone(self, batch: Batch, parcels: Sequence[Parcel], wait: float) -> None:
        self.enqueue(replace(batch, parcels=tuple(parcels), postponed=batch.postponed + 1), wait)

    def _enqueue_alone(self, parcel: Parcel, delay: float = 0, *, attempt: int = 1) -> None:
        self.delivery.enqueue(replace(parcel, alone=True, attempt=attempt), delay)

    def _set_apart(self, batch: Batch, parcel: Parcel, token: str, chain: Sequence[str], behind: str) -> Result:
        """Take a message out of its batch that another account is to be asked for first."""
        delivery, first = self.delivery, in_order(chain, behind)[0]
        delivery.ledger.tally.count(parcel.tenant, asked_again.ASKED_AGAIN, first)
        outcome = asked_again.postponed(delivery.clock(), first, behind)
        delivery.ledger.release(parcel.message.id, token, 1, outcome, batch=_alone(batch))
        self._enqueue_alone(replace(parcel, behind=behind))
        return parcel.message, outcome

    def _give_up(self, parcel: Parcel, token: str, account: str) -> Result:
        delivery = self.delivery
        doubted = replace(parcel, doubts=(account,))
        has_expired = parcel.message.expires_at <= delivery.clock()
        outcome = Outcome(Status.UNKNOWN, "expired" if has_expired else "no_answer", account)
        delivery.queue.dead_letter(seal(doubted, delivery.settings.address_key()))
        delivery.finish(parcel.message, token, outcome, doubted.doubts)
        return parcel.message, outcome


def _key(request: str, parcels: Sequence[Parcel]) -> str:
    """Return the idempotency key of a request: it names its very mails."""
    lines = [request.split(" ")[1], *(parcel.message.id for parcel in parcels)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _alone(batch: Batch) -> str:
    """Return the row's `batch` of a message that left its batch: its own parcel is queued, or about to be."""
    return f"alone {batch.id}"
