"""Sends one Email through the accounts of a chain, and decides what follows when one of them does not accept it."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from mailroom.delivery.gate import Gate
from mailroom.delivery.retry import COPIES, NOTICE_ATTEMPTS_BEFORE_FAILOVER, copies, retry_delay
from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import BatchProvider, Provider, Receipt, is_configured, load, spec_of
from mailroom.settings import Settings

__all__ = ["MAX_GATE_WAIT_SECONDS", "MAX_REQUEST_SECONDS", "RECHECK_SECONDS", "Dispatch", "dead"]

MAX_GATE_WAIT_SECONDS = 2.0  # a wait up to this long is sat out, a longer one is spent on the queue
MAX_REQUEST_SECONDS = 10.0  # connecting, shaking hands and reading, each at its slowest
RECHECK_SECONDS = 1.0  # a check before a request holds so long: after that, a newer code may have come
QUOTA_SECONDS = 900.0  # a provider that states a longer wait has used up a quota: a notice fails over at once


@dataclass(frozen=True, slots=True)
class Choice:
    """The next account of a chain, or the seconds until a gate opens; neither where no further copy is allowed."""

    account: str = ""
    wait: float | None = None


def dead(reason: str, doubts: Sequence[str], tries: Sequence[Attempt] = ()) -> Outcome:
    """Return the outcome of a mail that must not leave any more. It is `skipped` only if it cannot have left before."""
    if doubts:
        return Outcome(Status.UNKNOWN, reason, doubts[-1], tries=tuple(tries))
    return Outcome(Status.SKIPPED, reason, tries=tuple(tries))


@dataclass(slots=True)
class Dispatch:
    """The providers of this process, each with the gate before it. Threads may share it."""

    settings: Settings
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    gates: dict[str, Gate] = field(default_factory=dict)
    providers: dict[str, tuple[Mapping[str, str], Provider]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def choose(self, parcel: Parcel, chain: Sequence[str]) -> Choice:
        """Return the account that `send` would ask first, without asking it."""
        waits = list[float]()
        for account in self._order(chain, parcel.doubts):
            if not self._may_ask(account, parcel.doubts, parcel):
                continue
            wait = self.gate(account).wait(self.clock())
            if wait <= MAX_GATE_WAIT_SECONDS:
                return Choice(account, wait)
            waits.append(wait)
            if self._is_patient(parcel, wait):
                break
        return Choice(wait=min(waits, default=None))

    def send(
        self,
        parcel: Parcel,
        email: Email,
        chain: Sequence[str],
        deadline: float,
        permit: Callable[[str, tuple[str, ...]], str] = lambda account, offered: "",
    ) -> tuple[Outcome, tuple[str, ...]]:
        """Offer the Email along the chain; return the outcome, and the accounts that may hold the mail.

        `permit` is called before each request, with the account and the accounts that may hold the mail once it has
        been asked. It records them; where the mail must not leave any more, it returns the reason.
        """
        doubts, tries, waits = parcel.doubts, list[Attempt](), list[float]()
        accounts, refreshed = deque(self._order(chain, doubts)), set[str]()
        while accounts:
            account = accounts.popleft()
            knows_key = account in doubts and self._is_idempotent(account)
            if not self._may_ask(account, doubts, parcel):
                continue
            if self.clock() + MAX_REQUEST_SECONDS > deadline:
                break
            gate_wait = self.gate(account).wait(self.clock())
            if gate_wait > MAX_GATE_WAIT_SECONDS:
                waits.append(gate_wait)
                if self._is_patient(parcel, gate_wait):
                    break
                continue
            self.sleep_briefly(gate_wait)
            offered = doubts if knows_key else (*doubts, account)
            if reason := permit(account, offered):
                return dead(reason, doubts, tries), doubts
            if self.clock() + MAX_REQUEST_SECONDS > deadline:
                break  # the ledger took the time that was left
            started = self.clock()
            try:
                receipt = self._send(account, email, parcel.message.id)
            except DeliveryError as error:
                if isinstance(error, ConfigurationError) and account not in refreshed:
                    refreshed.add(account)
                    if self._may_repeat(started):
                        accounts.appendleft(account)  # once more, with the key as it is now
                        continue
                tries.append(Attempt.of(error, self.clock(), account))
                waits.append(error.retry_after or 0.0)
                if isinstance(error, UnknownOutcome):
                    doubts = offered
                if isinstance(error, PermanentFailure):
                    doubts = tuple(name for name in doubts if not (knows_key and name == account))
                    if not doubts:
                        return Outcome(Status.FAILED, error.code, account, tries=tuple(tries)), ()
                    break
                if not self._asks_next_at_once(error, account, parcel):
                    break
            else:
                tries.append(Attempt(self.clock(), account, "accepted"))
                doubts = tuple(name for name in doubts if name != account)
                return Outcome(Status.SENT, "", account, receipt.id, tuple(tries)), doubts
        reason = tries[-1].answer if tries else "holding_back" if waits else "no_time_left"
        if doubts and not self._may_ask_any(chain, doubts, parcel):
            return Outcome(Status.UNKNOWN, reason, doubts[-1], tries=tuple(tries)), doubts
        delay = retry_delay(parcel, waits) if tries else min(waits, default=0.0)
        return Outcome(Status.ACCEPTED, reason, tries=tuple(tries), retry_in=delay), doubts

    def _send(self, account: str, email: Email, key: str) -> Receipt:
        if email.images and not spec_of(account).inline_images:
            email = email.with_remote_images
        (receipt,) = self._request(account, lambda provider: [provider.send(email, key)])
        return receipt

    def send_batch(self, account: str, emails: Sequence[Email], key: str) -> list[Receipt]:
        """Send many Emails in one request: the account accepts all, or raise a DeliveryError."""

        def send(provider: Provider) -> list[Receipt]:
            if not isinstance(provider, BatchProvider):
                raise ConfigurationError(account, "no_batches", "this provider takes one mail per request")
            # A repeated request has the mails of the first one, which had no pictures: see Batcher._takes.
            return provider.send_batch([email.with_remote_images for email in emails], key)

        started = self.clock()
        try:
            return self._request(account, send)
        except ConfigurationError:
            if not self._may_repeat(started):
                raise
            return self._request(account, send)  # with the key as it is now

    def takes_batches(self, account: str) -> bool:
        """Return whether an account is configured, takes many mails in one request, and knows a request by its key."""
        try:
            if not is_configured(account, self.settings.provider(account)):
                return False
            return spec_of(account).batch and self._provider(account).idempotent
        except ConfigurationError:
            return False  # as each mail that is offered to it will record

    def max_parallel(self, account: str) -> int:
        """Return how many requests to an account are made at a time."""
        if self.gate(account).takes_one_at_a_time:
            return 1
        try:
            return spec_of(account).max_parallel
        except ConfigurationError:
            return 1  # no request will be made

    def gate(self, account: str) -> Gate:
        """Return the gate before an account."""
        return self.gates.setdefault(account, Gate())

    def _order(self, chain: Sequence[str], doubts: Sequence[str]) -> list[str]:
        """Return the chain, first those that may have the mail already and would know it by its key."""
        return sorted(chain, key=lambda account: account not in doubts or not self._is_idempotent(account))

    def _may_ask(self, account: str, doubts: Sequence[str], parcel: Parcel) -> bool:
        if account == parcel.batch_account:
            return False
        if account in doubts and self._is_idempotent(account):
            return True
        return copies(doubts, {name for name in doubts if self._is_idempotent(name)}) < COPIES[parcel.lane]

    def _may_ask_any(self, chain: Sequence[str], doubts: Sequence[str], parcel: Parcel) -> bool:
        return any(self._may_ask(account, doubts, parcel) for account in chain)

    def _is_patient(self, parcel: Parcel, wait: float) -> bool:
        """Return whether a parcel waits for this account rather than ask the next: a notice does, for some attempts."""
        attempts = parcel.requests + parcel.postponed
        return parcel.lane is Lane.NOTICES and attempts < NOTICE_ATTEMPTS_BEFORE_FAILOVER and wait <= QUOTA_SECONDS

    def _asks_next_at_once(self, error: DeliveryError, account: str, parcel: Parcel) -> bool:
        if isinstance(error, ConfigurationError):
            return True
        if isinstance(error, UnknownOutcome):  # it may have the mail: ask the same account again, if it would know
            return account in parcel.doubts or not self._is_idempotent(account)
        return not self._is_patient(parcel, error.retry_after or 0.0)

    def sleep_briefly(self, seconds: float | None) -> None:
        """Sit out a wait that is shorter than a trip through the queue."""
        if seconds:
            self.sleep(seconds)

    def _may_repeat(self, started: float) -> bool:
        """Read the settings again after a rejected key; return whether the checks of its request still hold."""
        self.settings.refresh()
        return self.clock() - started <= RECHECK_SECONDS

    def _request(self, account: str, send: Callable[[Provider], list[Receipt]]) -> list[Receipt]:
        """Make one request, and record at the gate how it went."""
        gate, started = self.gate(account), self.clock()
        try:
            receipts = send(self._provider(account))
        except (TemporaryFailure, UnknownOutcome) as error:
            gate.failed(self.clock(), error.retry_after, self.clock() - started)
            raise
        gate.succeeded(self.clock(), receipts[0].wait)
        return receipts

    def _is_idempotent(self, account: str) -> bool:
        try:
            return self._provider(account).idempotent
        except ConfigurationError:
            return False

    def _provider(self, account: str) -> Provider:
        values = self.settings.provider(account)
        with self.lock:  # or two threads open connections of their own
            cached = self.providers.get(account)
            if cached is None or cached[0] != values:
                cached = self.providers[account] = (values, load(account, values))
        return cached[1]
