"""The requests of a batch: claim their mails, check them a last time, send them at once, and record their outcomes.

- A message belongs to a request from before the request leaves until its outcome. Its own queued copy, should it come
  back, finds it taken and is dropped.
- If anything about a claim is unclear, the request does not leave. So the rows that name a request are the mails that
  were in it, or it never left.
- The key of a request is recorded right before it leaves. A request without that record is called off, by one in the
  same place, and its messages are free: they are checked again, and leave in another. Whoever repeats a request has all
  of its mails, by that key: copies of a batch may have parts of it.
- A request that was refused for certain ends: its messages are free for another request, or travel alone.
- A request that has no answer is repeated, with all of its mails, until it has one. Where each of them may go to
  another account, it is dissolved after a while: they travel alone, and its account is not asked about them again.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mailroom.delivery import asked_again
from mailroom.delivery.batch import Batch, Request
from mailroom.delivery.chain import in_order
from mailroom.delivery.deliver import Check, Delivery, Ready
from mailroom.delivery.dispatch import MAX_GATE_WAIT_SECONDS, MAX_REQUEST_SECONDS
from mailroom.delivery.parallel import run_shares
from mailroom.delivery.retry import postponement
from mailroom.delivery.seal import seal
from mailroom.errors import ClaimedElsewhere, ConfigurationError, DeliveryError, TemporaryFailure, UnknownOutcome
from mailroom.ledger.table import LEASE_SECONDS
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import Receipt

__all__ = ["CALLED_OFF", "DISSOLVED", "PATIENCE_SECONDS", "REFUSALS", "Mail", "RequestSender", "Result"]

SOON_SECONDS = 10.0  # a rate limit passes in this time, a used-up quota does not
# While another account may be asked, mails wait for this one up to such an age, and so much longer for each of them.
PATIENCE_SECONDS, SECONDS_ALONE = 10.0, 0.1
REFUSALS = 3  # times in a row that an account refuses a batch for its rate, before it counts as in trouble
# Decisions about a request; else the key that it leaves under.
CALLED_OFF = "called_off"
DISSOLVED = "dissolved"
ENDED = Outcome(Status.ACCEPTED, DISSOLVED, retry_in=0.0)

Mail = tuple[Parcel, Ready]
Result = tuple[Message, Outcome]


@dataclass(frozen=True, slots=True)
class RequestSender:
    """Sends the requests of one batch."""

    delivery: Delivery
    batch: Batch
    deadline: float

    def send(self, account: str, mails: Sequence[Mail], others: list[Parcel]) -> Iterator[Result]:
        """Claim messages for one request and send it; those that are not free join `others`."""
        delivery = self.delivery
        gate_wait = delivery.dispatch.gate(account).wait(delivery.clock())
        if gate_wait > MAX_GATE_WAIT_SECONDS:
            parcels = [parcel for parcel, _ in mails]
            if self._fails_over(account, mails, gate_wait):
                for parcel in parcels:
                    self.enqueue_alone(replace(parcel, behind=account), attempt=0)
                return
            return self.postpone(parcels, gate_wait)
        delivery.dispatch.sleep_briefly(gate_wait)
        request = Request(self.batch.id, account, secrets.token_hex(8))
        latest = min(self.deadline, delivery.clock() + LEASE_SECONDS) - MAX_REQUEST_SECONDS
        ours, late = self._claim(request, mails, others, latest)
        checked_at = delivery.clock()
        leaving: list[Mail] = []
        yield from self._check(request, ours, leaving)
        if late:
            self.postpone(late, 0)
        if not leaving:
            return
        parcels = [parcel for parcel, _ in leaving]
        messages = [delivery.with_lifetime(parcel).message for parcel in parcels]
        key = request.key(parcels)
        may_leave = self.decide(request, key) == key
        if not may_leave or delivery.outdated(messages, checked_at) or delivery.clock() > latest:
            self.postpone(parcels, 0)
            self.decide(request, CALLED_OFF, instead_of=key)
            return self._set_free(parcels, request.token, Outcome(Status.ACCEPTED, "no_time_left"))
        unfinished = {parcel.message.id for parcel in parcels}
        yield from self._send(request, request.token, leaving, unfinished, in_doubt=False)

    def repeat(self, request: Request, parcels: Sequence[Parcel], unfinished: set[str]) -> Iterator[Result]:
        """Repeat a request that may have arrived, with the very mails that were in it."""
        delivery, now = self.delivery, self.delivery.clock()
        gate_wait = delivery.dispatch.gate(request.account).wait(now)
        ends = {parcel.message.id: delivery.with_lifetime(parcel).message.expires_at for parcel in parcels}
        mails = [(parcel, delivery.render(parcel)) for parcel in parcels]
        has_expired, is_closed = min(ends.values()) <= now, gate_wait > MAX_GATE_WAIT_SECONDS
        alive = [mail for mail in mails if (id_ := mail[0].message.id) in unfinished and ends[id_] > now]
        is_hopeless = has_expired or (is_closed and not self._is_patient(request.account, alive, gate_wait))
        is_dissolved = is_hopeless and self._may_dissolve(request, alive)
        if is_closed and not has_expired and not is_dissolved:
            return self.postpone(parcels, gate_wait)
        token = self._claim_again(request, parcels, unfinished)
        if is_dissolved:
            yield from self._dissolve(request, token, parcels, unfinished, ENDED)
            return
        if has_expired:
            # Without the expired mail it would be another request, and a second copy for the rest.
            for parcel in parcels:
                if parcel.message.id in unfinished:
                    yield self._give_up(parcel, token, request.account)
            return
        delivery.dispatch.sleep_briefly(gate_wait)
        if delivery.clock() >= min(ends.values()) or delivery.clock() + MAX_REQUEST_SECONDS > self.deadline:
            return self.postpone(parcels, 0)
        yield from self._send(request, token, mails, unfinished, in_doubt=True)

    def dissolve(self, request: Request, parcels: Sequence[Parcel], unfinished: set[str]) -> Iterator[Result]:
        """Continue to dissolve a request whose process has died: `parcels` still belong to it."""
        yield from self._dissolve(request, self._claim_again(request, parcels, unfinished), parcels, unfinished, ENDED)

    def decide(self, request: Request, decision: str, *, instead_of: str = "") -> str:
        """Record under which key a request leaves, or that it has ended; return the decision that counts.

        A decision is final, but for `instead_of` by a process that knows the result of the request, or ends its
        repetitions. Nothing is recorded, or returned, for a request of a process that recorded none.
        """
        if not request.is_recorded:
            return ""
        return self.delivery.ledger.decide(request.name, decision, self.delivery.clock(), instead_of=instead_of)

    def call_off(self, request: Request, parcels: Iterable[Parcel]) -> None:
        """Free the messages of a request that was called off."""
        self._set_free(parcels, request.token, Outcome(Status.ACCEPTED, CALLED_OFF))

    def postpone(self, parcels: Sequence[Parcel], wait: float) -> None:
        """Enqueue a batch of these, to be received after `wait` seconds."""
        self.delivery.queue.put(replace(self.batch, parcels=tuple(parcels), postponed=self.batch.postponed + 1), wait)

    def enqueue_alone(
        self, parcel: Parcel, delay: float = 0, *, attempt: int = 1, doubts: tuple[str, ...] = ()
    ) -> None:
        """Enqueue a member as a parcel of its own, for good; `doubts` contains the account of a dissolved request."""
        batch_account = next(iter(doubts), "")
        own = replace(parcel, alone=True, attempt=attempt, doubts=doubts, batch_account=batch_account)
        self.delivery.enqueue(own, delay)

    def _set_free(self, parcels: Iterable[Parcel], token: str, outcome: Outcome) -> None:
        for parcel in parcels:
            self.delivery.ledger.release(parcel.message.id, token, 0, outcome)

    def _claim_again(self, request: Request, parcels: Sequence[Parcel], unfinished: set[str]) -> str:
        """Claim the unfinished messages of a request whose process has ended; return the token of the claims."""
        delivery, token = self.delivery, secrets.token_hex(8)
        for parcel in parcels:
            if parcel.message.id in unfinished and not delivery.ledger.claim_again(
                parcel.message.id, request.name, token, delivery.clock()
            ):
                raise ClaimedElsewhere(LEASE_SECONDS)
        return token

    def _claim(
        self, request: Request, mails: Sequence[Mail], others: list[Parcel], latest: float
    ) -> tuple[list[Mail], list[Parcel]]:
        """Claim messages for a request; return the mails that are ours, and the parcels for which no time was left."""
        delivery, key = self.delivery, self.delivery.settings.address_key()

        def claim(share: Sequence[Parcel]) -> Iterator[dict[str, bool]]:
            claims: dict[str, bool] = {}
            for parcel in share:
                if (now := delivery.clock()) <= latest:
                    is_ours = delivery.ledger.claim_for_batch(
                        parcel, key, request.name, request.token, now, request.account
                    )
                    claims[parcel.message.id] = is_ours
            yield claims

        claims: dict[str, bool] = {}
        parcels = [parcel for parcel, _ in mails]
        for claimed in run_shares(claim, parcels):
            claims |= claimed
        others += [parcel for parcel in parcels if not claims.get(parcel.message.id, True)]
        ours = [mail for mail in mails if claims.get(mail[0].message.id)]
        return ours, [parcel for parcel in parcels if parcel.message.id not in claims]

    def _check(self, request: Request, mails: Sequence[Mail], leaving: list[Mail]) -> Iterator[Result]:
        """Check claimed mails a last time; those that may leave with the request join `leaving`."""
        delivery = self.delivery
        checks = self._last_checks([parcel for parcel, _ in mails])
        for parcel, ready in mails:
            check = checks[parcel.message.id]
            if check.reason:
                outcome = Outcome(Status.SKIPPED, check.reason, warnings=check.warnings)
                delivery.finish(parcel.message, request.token, outcome)
                yield parcel.message, outcome
            elif behind := asked_again.account_of(delivery.ledger, check.replaced, ready.chain):
                yield self._set_apart(parcel, request.token, ready.chain, behind)
            else:
                leaving.append((parcel, replace(ready, notes=check.warnings)))

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

    def _send(
        self, request: Request, token: str, mails: Sequence[Mail], unfinished: set[str], *, in_doubt: bool
    ) -> Iterator[Result]:
        delivery, account = self.delivery, request.account
        key = request.key([parcel for parcel, _ in mails])
        try:
            receipts = delivery.dispatch.send_batch(account, [ready.email for _, ready in mails], key)
        except DeliveryError as error:
            yield from self._refused(request, token, mails, unfinished, error, in_doubt=in_doubt)
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
        request: Request,
        token: str,
        mails: Sequence[Mail],
        unfinished: set[str],
        error: DeliveryError,
        *,
        in_doubt: bool,
    ) -> Iterator[Result]:
        delivery, account, batch = self.delivery, request.account, self.batch
        members = [parcel for parcel, _ in mails]
        parcels = [parcel for parcel in members if parcel.message.id in unfinished]
        wait = postponement(batch.postponed, batch.lane, error.retry_after or 0.0)
        tries = (Attempt.of(error, delivery.clock(), account),)
        outcome = Outcome(Status.ACCEPTED, error.code, tries=tries, retry_in=wait)
        for parcel in parcels:
            delivery.ledger.tally.count_attempts(parcel.message.tenant, tries)
        waiting, passes_soon = [mail for mail in mails if mail[0].message.id in unfinished], self._passes_soon(error)
        if isinstance(error, UnknownOutcome) or (in_doubt and isinstance(error, TemporaryFailure | ConfigurationError)):
            if not self._is_patient(account, waiting, wait) and self._may_dissolve(request, waiting):
                yield from self._dissolve(request, token, members, unfinished, replace(outcome, retry_in=0.0))
                return
            # Also those that have an outcome, since a request is repeated with all of its mails.
            self.postpone(members, wait)
            for parcel in parcels:
                delivery.ledger.release(
                    parcel.message.id, token, 0, outcome, (account,), batch=request.name, keep_claim=True
                )
        elif passes_soon and not self._fails_over(account, waiting, wait):
            self.postpone(parcels, wait)
            self.decide(request, CALLED_OFF, instead_of=request.key(members))
            self._set_free(parcels, token, outcome)
        else:
            # So that one bad address, or a dead account, holds up no other mail.
            outcome = replace(outcome, retry_in=0.0)
            self.decide(request, CALLED_OFF, instead_of=request.key(members))
            behind = account if passes_soon else ""
            self._leave([replace(parcel, behind=behind) for parcel in parcels], token, outcome)
        for parcel in parcels:
            yield parcel.message, outcome

    def _passes_soon(self, error: DeliveryError) -> bool:
        """Return whether the same request is worth repeating: after a rate limit, and after a first failure."""
        if error.retry_after is not None:
            return error.retry_after <= SOON_SECONDS
        return isinstance(error, TemporaryFailure) and self.batch.postponed == 0

    def _is_patient(self, account: str, mails: Sequence[Mail], wait: float) -> bool:
        """Return whether mails had better wait for an account, which takes them all in one request.

        They do while it accepts others, and while the oldest is young: alone, a hundred take ten seconds elsewhere.
        """
        gate, now = self.delivery.dispatch.gate(account), self.delivery.clock()
        is_limited = gate.refused_at > gate.failed_at
        if gate.is_accepting(now, PATIENCE_SECONDS) or self.batch.postponed < (REFUSALS if is_limited else 1):
            return True
        oldest = min(parcel.message.created_at for parcel, _ in mails)
        return now + wait - oldest <= PATIENCE_SECONDS + SECONDS_ALONE * len(mails)

    def _fails_over(self, account: str, mails: Sequence[Mail], wait: float) -> bool:
        """Return whether mails that their account certainly has not are to go to other accounts alone."""
        return not self._is_patient(account, mails, wait) and self._may_ask_others(account, mails)

    def _may_ask_others(self, account: str, mails: Sequence[Mail], doubts: tuple[str, ...] = ()) -> bool:
        """Return whether another account may be asked now for each of these mails. `doubts` may hold them already."""
        postponed, choose = self.batch.postponed, self.delivery.dispatch.choose
        return all(
            choose(replace(parcel, doubts=doubts, batch_account=account, postponed=postponed), ready.chain).account
            for parcel, ready in mails
        )

    def _may_dissolve(self, request: Request, mails: Sequence[Mail]) -> bool:
        """Return whether other accounts may be asked now for the mails of a request that may have arrived."""
        return request.is_recorded and bool(mails) and self._may_ask_others(request.account, mails, (request.account,))

    def _dissolve(
        self,
        request: Request,
        token: str,
        members: Sequence[Parcel],
        unfinished: set[str],
        outcome: Outcome,
    ) -> Iterator[Result]:
        """End a request that may have arrived: its mails travel alone, and its account is not asked again.

        Its decision comes first: after it nobody repeats the request with a part of its mails, under another key.
        """
        self.decide(request, DISSOLVED, instead_of=request.key(members))
        now, leaving = self.delivery.clock(), list[Parcel]()
        for parcel in members:
            if parcel.message.id not in unfinished:
                continue
            if self.delivery.with_lifetime(parcel).message.expires_at <= now:
                yield self._give_up(parcel, token, request.account)
            else:
                leaving.append(parcel)
        self._leave(leaving, token, outcome, (request.account,))
        for parcel in leaving:
            yield parcel.message, outcome

    def _leave(self, parcels: Sequence[Parcel], token: str, outcome: Outcome, doubts: tuple[str, ...] = ()) -> None:
        """Take messages out of their batch: each travels alone from now on."""

        def leave(share: Sequence[Parcel]) -> tuple[()]:
            for parcel in share:
                self.delivery.ledger.release(parcel.message.id, token, 1, outcome, doubts, batch=self.batch.alone)
                self.enqueue_alone(parcel, doubts=doubts)
            return ()

        for _ in run_shares(leave, parcels):
            pass

    def _set_apart(self, parcel: Parcel, token: str, chain: Sequence[str], behind: str) -> Result:
        """Take a message out of its batch that another account is to be asked for first."""
        delivery, first = self.delivery, in_order(chain, behind)[0]
        delivery.ledger.tally.count(parcel.tenant, asked_again.ASKED_AGAIN, first)
        outcome = asked_again.postponed(delivery.clock(), first, behind)
        delivery.ledger.release(parcel.message.id, token, 1, outcome, batch=self.batch.alone)
        self.enqueue_alone(replace(parcel, behind=behind))
        return parcel.message, outcome

    def _give_up(self, parcel: Parcel, token: str, account: str) -> Result:
        delivery = self.delivery
        doubted = replace(parcel, doubts=(account,))
        has_expired = parcel.message.expires_at <= delivery.clock()
        outcome = Outcome(Status.UNKNOWN, "expired" if has_expired else "no_answer", account)
        delivery.queue.dead_letter(seal(doubted, delivery.settings.address_key()))
        delivery.finish(parcel.message, token, outcome, doubted.doubts)
        return parcel.message, outcome
