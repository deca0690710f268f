"""The way of one parcel: claim it, see whether it still has to go, render, dispatch, record."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from mailroom.dispatch import BACKOFF, LONGEST_TRY, Dispatch
from mailroom.email import Email
from mailroom.errors import Misconfigured, Unavailable
from mailroom.ledger import LEASE, Claim, Ledger, Outcome, Standing, Status, Try
from mailroom.message import Message, Parcel
from mailroom.providers import is_configured
from mailroom.queue import Queue
from mailroom.sender import Sender
from mailroom.settings import SHARED_TEST_SENDER, Settings

__all__ = ["CLAIMED", "Delivery", "Render"]

CLAIMED = "claimed_by_another"


class Render(Protocol):
    """What delivery asks of the renderer."""

    def render(self, message: Message, sender: Sender, brand: Mapping[str, str]) -> Email: ...


@dataclass(slots=True)
class Delivery:
    """Everything one process needs to deliver, kept warm between parcels."""

    settings: Settings
    ledger: Ledger
    queue: Queue
    renderer: Render
    dispatch: Dispatch
    clock: Callable[[], float] = time.time

    def deliver(self, parcel: Parcel, deadline: float, *, last: bool = False) -> Outcome | None:
        """Take a parcel as far as it goes; None if it has its outcome already. With `last`, no later try follows."""
        message, token = parcel.message, secrets.token_hex(8)
        self.settings.prefetch(message.tenant, message.purpose)
        key = self.settings.address_key()
        match self.ledger.claim(parcel, key, token, self.clock()):
            case Claim.DONE:
                return None
            case Claim.BUSY:
                raise Unavailable("ledger", CLAIMED, retry_after=LEASE)
        outcome, again = self._decide(parcel, key, deadline)
        while last and self._is_worth_waiting(outcome, deadline):
            self.dispatch.sleep(outcome.retry_in or 0)
            before = outcome.tries
            outcome, again = self._decide(again, key, deadline)
            outcome = replace(outcome, tries=before + outcome.tries)
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
        return outcome

    def _is_worth_waiting(self, outcome: Outcome, deadline: float) -> bool:
        """Tell whether a provider may take it yet, before the caller who waits has to hear that none did."""
        passing = any(tried.error in ("unavailable", "ambiguous") for tried in outcome.tries)
        return passing and outcome.retry_in is not None and self.clock() + outcome.retry_in + LONGEST_TRY < deadline

    def _decide(self, parcel: Parcel, key: str, deadline: float) -> tuple[Outcome, Parcel]:
        message = parcel.message
        if message.expires_at <= self.clock():
            return Outcome(Status.SKIPPED, "expired"), parcel
        standing = self.ledger.stand(message, key, self.clock())
        if standing is not Standing.CURRENT:
            return Outcome(Status.SKIPPED, standing), parcel
        try:
            sender = self.settings.sender(message.tenant, message.purpose)
            brand = self.settings.brand(message.tenant)
            chain = [name for name in sender.providers if is_configured(name, self.settings.provider(name))]
        except Misconfigured as error:
            self.settings.refresh()
            tried = (Try.of(error, self.clock()),)
            return Outcome(Status.ACCEPTED, error.code, tries=tried, retry_in=BACKOFF[4]), parcel.again(parcel.email)
        if not chain:
            return Outcome(Status.SKIPPED, "email_not_configured"), parcel
        email = parcel.email or self.renderer.render(message, sender, brand)
        outcome, doubts = self.dispatch.send(parcel, email, chain, deadline)
        warnings = ("shared_test_sender",) if email.from_.address == SHARED_TEST_SENDER.address else ()
        return replace(outcome, warnings=warnings), parcel.again(email, doubts)
