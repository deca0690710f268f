"""Handing an Email to the providers of a chain, and what follows when one of them does not take it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mailroom.delivery.gate import Gate
from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import BatchProvider, Provider, Receipt, is_configured, load
from mailroom.settings import Settings

__all__ = ["BACKOFF", "LONGEST_TRY", "Dispatch"]

BACKOFF = (1, 3, 10, 30, 60, 120, 300, 600, 900)  # seconds; someone waits, so the first ones come soon
BACKOFF_TOLD = BACKOFF[:3]  # where each provider said when it is free again, so that nobody waits much longer
HOLD_BACK = 2.0  # a wait up to this long is sat out, a longer one is spent on the queue
LONGEST_TRY = 10.0  # connecting, shaking hands and reading, each at its slowest
PATIENCE = 3  # so often a notice waits for its first provider before the next one is asked
# How many copies a reader may get when providers go silent: a lost code is worse than a second copy, a notice is not.
COPIES: Mapping[Lane, int] = {Lane.CODES: 2, Lane.NOTICES: 1}


@dataclass(slots=True)
class Dispatch:
    """The providers of this process, each with the gate in front of it."""

    settings: Settings
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    gates: dict[str, Gate] = field(default_factory=dict)
    providers: dict[str, tuple[Mapping[str, str], Provider]] = field(default_factory=dict)

    def send(
        self, parcel: Parcel, email: Email, chain: Sequence[str], deadline: float
    ) -> tuple[Outcome, tuple[str, ...]]:
        """Offer the Email along the chain; return what came of it, and which providers may have taken it unsaid."""
        doubts, tries, waits = list(parcel.doubts), list[Attempt](), list[float]()
        # One that may have the mail already, and would know it by its key, is asked before any other.
        for name in sorted(chain, key=lambda name: name not in doubts):
            knows = name in doubts and self._provider(name).idempotent
            if not knows and len(doubts) >= COPIES[parcel.lane]:
                continue
            if self.clock() + LONGEST_TRY > deadline:
                break
            try:
                (receipt,) = self._at_its_pace(name, lambda provider: [provider.send(email, parcel.message.id)])
            except DeliveryError as error:
                tries.append(Attempt.of(error, self.clock()))
                waits.append(error.retry_after or 0.0)
                if isinstance(error, PermanentFailure):
                    return Outcome(Status.FAILED, error.code, name, tries=tuple(tries)), tuple(doubts)
                if isinstance(error, UnknownOutcome) and not knows:
                    doubts.append(name)
                if not self._next_at_once(error, name, parcel):
                    break
            else:
                tries.append(Attempt(self.clock(), name, "accepted"))
                return Outcome(Status.SENT, "", name, receipt.id, tuple(tries)), ()
        reason = tries[-1].answer if tries else "no_time_left"
        if not self._may_ask_again(doubts, chain, parcel.lane):
            return Outcome(Status.UNKNOWN, reason, doubts[-1], tries=tuple(tries)), tuple(doubts)
        ladder = BACKOFF_TOLD if waits and all(waits) else BACKOFF
        delay = max(ladder[min(parcel.attempt, len(ladder) - 1)], min(waits, default=0.0))
        return Outcome(Status.ACCEPTED, reason, tries=tuple(tries), retry_in=delay), tuple(doubts)

    def takes_many(self, name: str) -> bool:
        """Tell whether a provider is set up and takes many mails in one request."""
        try:
            configured = is_configured(name, self.settings.provider(name))
            return configured and isinstance(self._provider(name), BatchProvider)
        except ConfigurationError:
            return False  # as each mail that is offered to it will say

    def send_batch(self, name: str, emails: Sequence[Email], key: str) -> list[Receipt]:
        """Hand many Emails to one provider in one request: it takes all, or a DeliveryError says that it took none."""

        def send(provider: Provider) -> list[Receipt]:
            if not isinstance(provider, BatchProvider):
                raise TemporaryFailure(name, "takes_one_at_a_time", retry_after=inf)
            return provider.send_batch(emails, key)

        return self._at_its_pace(name, send)

    def _next_at_once(self, error: DeliveryError, name: str, parcel: Parcel) -> bool:
        if isinstance(error, ConfigurationError):
            return True
        if isinstance(error, UnknownOutcome):  # it may have it: ask the same one again, if it would know
            return name in parcel.doubts or not self._provider(name).idempotent
        patient = parcel.lane is Lane.NOTICES and parcel.attempt < PATIENCE
        return not patient or (error.retry_after or 0.0) > BACKOFF[-1]

    def _may_ask_again(self, doubts: Sequence[str], chain: Sequence[str], lane: Lane) -> bool:
        return len(doubts) < COPIES[lane] or any(self._provider(name).idempotent for name in doubts if name in chain)

    def _at_its_pace(self, name: str, send: Callable[[Provider], list[Receipt]]) -> list[Receipt]:
        """Send through one provider, no faster than it allows; a bad key is read anew and tried once more."""
        gate = self.gates.setdefault(name, Gate())
        wait = gate.wait(self.clock())
        if wait > HOLD_BACK:
            raise TemporaryFailure(name, "holding_back", retry_after=wait)
        if wait:
            self.sleep(wait)
        try:
            try:
                receipts = send(self._provider(name))
            except ConfigurationError:
                self.settings.refresh()
                receipts = send(self._provider(name))
        except (TemporaryFailure, UnknownOutcome) as error:
            gate.refused(self.clock(), error.retry_after)
            raise
        gate.took(self.clock(), receipts[0].wait)
        return receipts

    def _provider(self, name: str) -> Provider:
        values = self.settings.provider(name)
        kept = self.providers.get(name)
        if kept is None or kept[0] != values:
            kept = self.providers[name] = (values, load(name, values))
        return kept[1]
