"""The way of one parcel: claim it, see whether it still has to go, render, dispatch, record."""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mailroom.aws.client import Aws
from mailroom.aws.queue import Queue
from mailroom.delivery.dispatch import BACKOFF, LONGEST_TRY, Dispatch
from mailroom.errors import ClaimedElsewhere, ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.ledger.table import LEASE, Claim, Ledger, Standing
from mailroom.model.email import Email
from mailroom.model.message import Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import is_configured, warm_up
from mailroom.rendering.renderer import Renderer
from mailroom.settings import SHARED_TEST_SENDER, Settings

__all__ = ["Delivery", "Ready"]


@dataclass(frozen=True, slots=True)
class Ready:
    """A parcel that has to go: its Email, and the configured providers to offer it to."""

    email: Email
    chain: tuple[str, ...]
    problems: tuple[str, ...] = ()  # what of the tenant's own templates could not be used

    @property
    def warnings(self) -> tuple[str, ...]:
        return ("shared_test_sender",) if self.email.from_.address == SHARED_TEST_SENDER.address else ()


@dataclass(slots=True)
class Delivery:
    """Everything one process needs to deliver, kept warm between parcels."""

    settings: Settings
    ledger: Ledger
    queue: Queue
    renderer: Renderer
    dispatch: Dispatch
    clock: Callable[[], float] = time.time

    @classmethod
    def from_env(cls, aws: Aws) -> "Delivery":
        settings, ledger = Settings.from_env(aws), Ledger.from_env(aws)
        warm_up(settings.chain)
        renderer = Renderer(Path(os.environ["TEMPLATES_DIR"]))
        return cls(settings, ledger, Queue.from_env(aws), renderer, Dispatch(settings))

    def deliver(self, parcel: Parcel, deadline: float, *, last: bool = False) -> Outcome | None:
        """Take a parcel as far as it goes; None if it has its outcome already. With `last`, no later try follows."""
        token = secrets.token_hex(8)
        if not self.take(parcel, token):
            return None
        outcome, again = self._try(parcel, deadline)
        while last and self._is_worth_waiting(outcome, deadline):
            self.dispatch.sleep(outcome.retry_in or 0)
            before = outcome.tries
            outcome, again = self._try(again, deadline)
            outcome = replace(outcome, tries=before + outcome.tries)
        return self.settle(token, outcome, again, last=last)

    def take(self, parcel: Parcel, token: str) -> bool:
        """Claim a parcel; False if it has its outcome already. Raise ClaimedElsewhere if another process holds it."""
        self.settings.prefetch(parcel.message.tenant, parcel.message.purpose)
        claim = self.ledger.claim(parcel, self.settings.address_key(), token, self.clock())
        if claim is Claim.BUSY:
            raise ClaimedElsewhere(LEASE)
        return claim is Claim.OURS

    def look(self, parcel: Parcel) -> Outcome | Ready:
        """See whether a parcel still has to go; if so, render it unless it is."""
        message = parcel.message
        if message.expires_at <= self.clock():
            return Outcome(Status.SKIPPED, "expired")
        if self.ledger.is_suppressed(message, parcel.lane, self.settings.address_key(), self.clock()):
            return Outcome(Status.SKIPPED, "suppressed")
        standing = self.ledger.stand(message, self.settings.address_key(), self.clock())
        if standing is not Standing.CURRENT:
            return Outcome(Status.SKIPPED, standing)
        try:
            sender = self.settings.sender(message.tenant, message.purpose)
            brand = self.settings.brand(message.tenant)
            chain = tuple(name for name in sender.providers if is_configured(name, self.settings.provider(name)))
        except ConfigurationError as error:
            self.settings.refresh()
            return Outcome(Status.ACCEPTED, error.code, tries=(Attempt.of(error, self.clock()),), retry_in=BACKOFF[4])
        if not chain:
            return Outcome(Status.SKIPPED, "email_not_configured")
        if parcel.email:
            return Ready(parcel.email, chain)
        rendered = self.renderer.compose(message, sender, brand)
        return Ready(rendered.email, chain, rendered.problems)

    def settle(self, token: str, outcome: Outcome, again: Parcel, *, last: bool = False) -> Outcome:
        """Record an outcome; or, where it is none yet, put `again` on the queue as long as its message lives."""
        message = again.message
        if outcome.retry_in is not None:
            if not last and self.clock() + outcome.retry_in < message.expires_at:
                # First the queue, then the ledger, then the acknowledgement: a crash in between repeats, never loses.
                self.queue.put(again, outcome.retry_in)
                self.ledger.release(message.id, token, again.attempt, outcome)
                return outcome
            outcome = replace(outcome, status=Status.UNKNOWN if again.doubts else Status.FAILED, retry_in=None)
            if not last:
                self.queue.bury(again)
        self.ledger.finish(message.id, token, outcome, self.clock())
        self.ledger.tally.count(message.tenant, outcome.status, outcome.provider or outcome.reason)
        return outcome

    def offer(self, parcel: Parcel, ready: Ready, deadline: float) -> tuple[Outcome, Parcel]:
        """Offer a parcel along its chain; return what came of it, and the parcel for a next try."""
        outcome, doubts = self.dispatch.send(parcel, ready.email, ready.chain, deadline)
        noted = replace(outcome, warnings=ready.warnings, problems=ready.problems)
        return noted, parcel.again(ready.email, doubts)

    def _try(self, parcel: Parcel, deadline: float) -> tuple[Outcome, Parcel]:
        seen = self.look(parcel)
        if isinstance(seen, Ready):
            return self.offer(parcel, seen, deadline)
        return seen, parcel.again(parcel.email, parcel.doubts)

    def _is_worth_waiting(self, outcome: Outcome, deadline: float) -> bool:
        """Tell whether a provider may take it yet, before the caller who waits has to hear that none did."""
        errors = [tried.error for tried in outcome.tries if tried.error]
        passing = any(issubclass(error, TemporaryFailure | UnknownOutcome) for error in errors)
        return passing and outcome.retry_in is not None and self.clock() + outcome.retry_in + LONGEST_TRY < deadline
