"""Delivers one message: check whether it is still due, render, claim, send, record.

The claim comes right before the request, and names the account that is asked: the ledger knows of each possible copy
before a byte leaves. All that takes time comes before the claim, all that can become outdated is checked last.
"""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailroom.aws.client import Aws
from mailroom.aws.queue import Queue
from mailroom.callbacks.outbox import Outbox
from mailroom.delivery import asked_again
from mailroom.delivery.chain import in_order
from mailroom.delivery.dispatch import MAX_REQUEST_SECONDS, RECHECK_SECONDS, Dispatch, dead
from mailroom.delivery.handover import check_of, next_check_in
from mailroom.delivery.retry import postponement, retry_delay, time_left
from mailroom.delivery.seal import is_authentic, seal
from mailroom.errors import ClaimedElsewhere, ConfigurationError, DeliveryError, TemporaryFailure, UnknownOutcome
from mailroom.ledger.daily import Use
from mailroom.ledger.domain_health import count_sent
from mailroom.ledger.recipients import Standing
from mailroom.ledger.table import LEASE_SECONDS, Holder, Ledger
from mailroom.ledger.tally import EVERYONE
from mailroom.model.domain_groups import own_group
from mailroom.model.email import Email
from mailroom.model.limits import Limits
from mailroom.model.message import Message, Parcel, organization_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.providers import is_configured, warm_up
from mailroom.rendering.renderer import Renderer
from mailroom.settings import SHARED_TEST_SENDER, Settings

__all__ = ["Check", "Delivery", "Ready"]

MAX_RECHECKS = 3  # in a row that take longer than RECHECK_SECONDS: then a slow ledger holds up no code
RECORD_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)  # between attempts to record an outcome
DAY_LIMIT_NEAR, DAY_LIMIT_REACHED = "day_limit_near", "day_limit_reached"  # warnings
RECORD_SECONDS = 5.0  # one attempt, where DynamoDB does not answer


@dataclass(frozen=True, slots=True)
class Ready:
    """A rendered mail that is due, and the configured accounts to offer it to."""

    email: Email
    chain: tuple[str, ...]
    problems: tuple[str, ...] = ()  # parts of the tenant's own templates that could not be used

    notes: tuple[str, ...] = ()  # for an operator

    @property
    def warnings(self) -> tuple[str, ...]:
        is_shared = self.email.from_.address == SHARED_TEST_SENDER.address
        return (*self.notes, *(("shared_test_sender",) if is_shared else ()))


@dataclass(frozen=True, slots=True)
class Check:
    """The result of the last check: why a message must not leave, if so, and the valid code that it replaces.

    `warnings` are for an operator.
    """

    reason: str = ""
    replaced: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a delivery after one attempt: its outcome so far, and the parcel of the next attempt."""

    outcome: Outcome
    following: Parcel
    is_claimed: bool
    is_certain: bool = False  # no other request may have left a copy


@dataclass(slots=True)
class Delivery:
    """Everything one process needs to deliver, kept warm between messages."""

    aws: Aws
    settings: Settings
    ledger: Ledger
    queue: Queue
    renderer: Renderer
    dispatch: Dispatch
    outbox: Outbox
    clock: Callable[[], float] = time.time
    mails_per_day: int = 0  # of the whole stack; 0: any number
    is_ledger_away: bool = False  # the latest outcome went onto the queue instead

    @classmethod
    def from_env(cls, aws: Aws) -> "Delivery":
        settings, ledger = Settings.from_env(aws), Ledger.from_env(aws)
        warm_up(settings.chain)
        renderer = Renderer(Path(os.environ["TEMPLATES_DIR"]))
        mails_per_day = int(os.environ.get("MAILS_PER_DAY", "0"))
        queue, outbox, dispatch = Queue.from_env(aws), Outbox.from_env(aws, settings), Dispatch(settings)
        return cls(aws, settings, ledger, queue, renderer, dispatch, outbox, mails_per_day=mails_per_day)

    def deliver(self, parcel: Parcel, deadline: float, *, inline: bool = False) -> Outcome | None:
        """Deliver a parcel; None if its outcome is recorded already, or a batch owns it.

        `inline` means that a caller waits: attempts are repeated here until the deadline, and a definite failure is
        final. Raise ClaimedElsewhere while another process works on the message.
        """
        self.settings.prefetch(parcel.message.tenant, parcel.message.purpose)
        parcel = self.with_lifetime(parcel)
        if parcel.settled:
            return self._record(parcel, "", parcel.settled, deadline)
        token = secrets.token_hex(8)
        progress = self._attempt(parcel, token, deadline, is_claimed=False)
        while progress and inline and self._is_worth_waiting(progress.outcome, deadline):
            self.dispatch.sleep(progress.outcome.retry_in or 0)
            tries = progress.outcome.tries
            progress = self._attempt(progress.following, token, deadline, is_claimed=progress.is_claimed)
            if progress:
                outcome = replace(progress.outcome, tries=tries + progress.outcome.tries)
                progress = replace(progress, outcome=outcome)
        return self._settle(progress, token, deadline, inline=inline) if progress else None

    def receive(self, parcel: Parcel, deadline: float) -> Outcome | None:
        """Deliver a parcel from a queue, which anybody may have put there who can write to it."""
        if is_authentic(parcel, self.settings.address_key()):
            return self.deliver(parcel, deadline)
        return self._reject(parcel, deadline)

    def enqueue(self, parcel: Parcel, delay: float = 0) -> None:
        """Put a parcel on its queue, sealed where it carries text of its own."""
        self.queue.put(seal(parcel, self.settings.address_key()), delay)

    def prepare(self, parcel: Parcel, *, is_suppressed: bool | None = None) -> Ready | Outcome:
        """Render a parcel that is due; else return its outcome. Nothing is written.

        `is_suppressed` where its recipient has been looked up, together with others.
        """
        message = parcel.message
        if message.expires_at <= self.clock():
            return dead("expired", parcel.doubts)
        if is_suppressed is None:
            key = self.settings.address_key()
            is_suppressed = self.ledger.is_suppressed(message, parcel.lane, key, self.clock())
        if is_suppressed:
            return dead("suppressed", parcel.doubts)
        try:
            ready = self.render(parcel)
        except ConfigurationError as error:
            self.settings.refresh()
            attempt = Attempt.of(error, self.clock())
            return Outcome(Status.ACCEPTED, error.code, tries=(attempt,), retry_in=retry_delay(parcel))
        return ready if ready.chain else dead("email_not_configured", parcel.doubts)

    def render(self, parcel: Parcel) -> Ready:
        """Return the mail of a parcel and its chain; raise ConfigurationError where the sender's settings are wrong."""
        message = parcel.message
        organization = organization_id(message.data)
        sender = self.settings.sender(message.tenant, message.purpose, organization)
        chain = tuple(name for name in sender.providers if is_configured(name, self.settings.provider(name)))
        if parcel.email:
            return Ready(parcel.email, chain)
        brand = self.settings.brand(message.tenant, organization)
        files = {} if message.content else self.settings.templates(message.tenant)
        rendered = self.renderer.compose(message, sender, brand, files)
        return Ready(rendered.email, chain, rendered.problems)

    def with_lifetime(self, parcel: Parcel) -> Parcel:
        """Return the parcel with the lifetime of its tenant's codes, where its source knows none."""
        message = parcel.message
        if not message.has_default_lifetime:
            return parcel
        try:
            lifetime = self.settings.sender(message.tenant, message.purpose).code_lifetime
        except ConfigurationError:
            return parcel  # as rendering will report
        if not lifetime:
            return parcel
        expires_at = message.created_at + lifetime
        return replace(parcel, message=replace(message, expires_at=expires_at, has_default_lifetime=False))

    def last_check(self, message: Message, *, is_first: bool = True, counts: bool = True) -> Check:
        """Return why a message must not leave, if so: it expired, was replaced, or exceeds a limit.

        The message becomes the newest one of its recipient by this, and counts. `is_first` before its first attempt.
        `counts` unless it is checked once more before that.
        """
        now, key, limits = self.clock(), self.settings.address_key(), self.settings.limits(message.tenant)
        if message.expires_at <= now:
            return Check("expired")
        recipients = self.ledger.recipients
        if is_first and recipients.count_client(message, key, now, limits) is Standing.LIMITED:
            return Check(Standing.LIMITED)
        warnings = self._count_for_day(message, limits, now) if is_first and counts else ()
        if DAY_LIMIT_REACHED in warnings:
            return Check(Standing.LIMITED, warnings=warnings)
        mark = recipients.mark_latest(message, key, now, limits)
        if mark.standing is not Standing.CURRENT:
            return Check(mark.standing, warnings=warnings)
        return Check("", mark.replaced, warnings)

    def _count_for_day(self, message: Message, limits: Limits, now: float) -> tuple[str, ...]:
        """Count a mail for its tenant's limit and the stack's; return what an operator should know."""
        scopes = ((message.tenant, limits.per_day), (EVERYONE, self.mails_per_day))
        uses = {self.ledger.daily.count(scope, limit, now) for scope, limit in scopes}
        if Use.REACHED in uses:
            return (DAY_LIMIT_REACHED,)
        return (DAY_LIMIT_NEAR,) if Use.NEAR in uses else ()

    def finish(self, message: Message, token: str, outcome: Outcome, doubts: tuple[str, ...] = ()) -> None:
        """Record a final outcome, and count it; before that, queue the event for a tenant with a callback."""
        own_domain = self.own_domain(message) if outcome.status is Status.SENT else ""
        self.outbox.add_outcome(message, outcome)
        self.ledger.finish(message.id, token, outcome, self.clock(), doubts, domain_group=own_domain)
        self.ledger.tally.count_outcome(message.tenant, outcome)
        if outcome.status is Status.SENT:
            count_sent(self.ledger.tally, message, outcome.provider, own_domain)

    def own_domain(self, message: Message) -> str:
        """Return the receiving domain that a message's tenant counts on its own, if it is for one of those."""
        try:
            return own_group(message.to, self.settings.sender(message.tenant, message.purpose).recipient_domains)
        except DeliveryError:
            return ""  # its settings are wrong, or cannot be read: it counts as any other

    def watch(self, parcel: Parcel, token: str, outcome: Outcome) -> None:
        """Enqueue the check of a code that was sent, where its tenant has rescue switched on (delivery/rescue.py).

        `token` is that of the claim under which it was sent. Nothing fails because a check cannot be enqueued.
        """
        message = parcel.message
        try:
            sender = self.settings.sender(message.tenant, message.purpose)
            if waiting := check_of(parcel, token, outcome, sender, self.clock()):
                self.enqueue(waiting, next_check_in(sender.rescue_after))
        except DeliveryError as error:
            self.ledger.tally.count(message.tenant, "not_watched", error.code)

    def _attempt(self, parcel: Parcel, token: str, deadline: float, *, is_claimed: bool) -> Progress | None:
        """Make one attempt along the chain; None if the message is not ours to send."""
        message = parcel.message
        ready = self.prepare(parcel)
        if isinstance(ready, Outcome):
            if ready.reason == "suppressed":
                self._count(message)
            return self._conclude(parcel, token, ready, is_claimed=is_claimed)
        chain = in_order(ready.chain, parcel.behind)
        choice, checked_at, behind = self.dispatch.choose(parcel, chain), self.clock(), ""
        if choice.account:
            self.dispatch.sleep_briefly(choice.wait)
            checked_at = self.clock()
            check = self.last_check(message, is_first=parcel.attempt == 0)
            if check.reason:
                outcome = replace(dead(check.reason, parcel.doubts), warnings=check.warnings)
                return self._conclude(parcel, token, outcome, is_claimed=is_claimed)
            ready = replace(ready, notes=check.warnings)
            if behind := asked_again.account_of(self.ledger, check.replaced, ready.chain):
                parcel, chain = replace(parcel, behind=behind), in_order(ready.chain, behind)
                choice = self.dispatch.choose(parcel, chain)
                self.dispatch.sleep_briefly(choice.wait if choice.account else 0)
                self.ledger.tally.count(message.tenant, asked_again.ASKED_AGAIN, chain[0])
        if not choice.account and choice.wait is None:
            return self._conclude(parcel, token, dead("no_answer", parcel.doubts), is_claimed=is_claimed)
        if not choice.account:
            outcome = Outcome(Status.ACCEPTED, "holding_back", retry_in=choice.wait)
            return Progress(outcome, replace(parcel, postponed=parcel.postponed + 1), is_claimed)
        recorded = ""
        if not is_claimed:
            claimed = self._claim(parcel, token, choice.account)
            if claimed is None:
                return None
            parcel, recorded = claimed, choice.account

        def permit(account: str, offered: tuple[str, ...]) -> str:
            nonlocal recorded
            if account == recorded:  # by the claim
                recorded = ""
                return self.outdated((message,), checked_at)
            return self._permit(message, token, offered)

        outcome, doubts = self.dispatch.send(parcel, ready.email, chain, deadline, permit)
        self.ledger.tally.count_attempts(message.tenant, outcome.tries)
        outcome = replace(outcome, warnings=ready.warnings, problems=ready.problems)
        following = parcel.next_attempt(ready.email, doubts, asked=bool(outcome.tries))
        is_certain = not parcel.doubts and not any(tried.error is UnknownOutcome for tried in outcome.tries)
        outcome = asked_again.decision(outcome, checked_at, choice.account, behind)
        return Progress(outcome, following, True, is_certain)

    def _count(self, message: Message) -> None:
        """Count a mail that is suppressed, so that nobody learns by a limit who is."""
        limits = self.settings.limits(message.tenant)
        self.ledger.recipients.count(message, self.settings.address_key(), self.clock(), limits)

    def _permit(self, message: Message, token: str, offered: tuple[str, ...]) -> str:
        """Record that one more account is about to be asked; return why the mail must not leave, if so."""
        checked_at = self.clock()
        if reason := self.outdated((message,)):
            return reason
        if not self.ledger.renew(message.id, token, offered, self.clock()):
            raise ClaimedElsewhere(LEASE_SECONDS)
        return self.outdated((message,), checked_at)

    def outdated(self, messages: Sequence[Message], checked_at: float = 0.0) -> str:
        """Return why one of these messages must not leave, if so: it expired, or was replaced since its last check.

        `checked_at` is when that check began. It holds for a second; one that takes longer itself is repeated.
        """
        for _ in range(MAX_RECHECKS):
            if self.clock() - checked_at <= RECHECK_SECONDS:
                break
            checked_at = self.clock()
            if self.ledger.superseded(messages, self.settings.address_key()):
                return Standing.SUPERSEDED
        return "expired" if min(message.expires_at for message in messages) <= self.clock() else ""

    def _conclude(self, parcel: Parcel, token: str, outcome: Outcome, *, is_claimed: bool) -> Progress | None:
        """Take the claim for an outcome that needed no request: only then is it certain whose word counts."""
        if not is_claimed:
            claimed = self._claim(parcel, token)
            if claimed is None:
                return None
            parcel = claimed
        if outcome.status is Status.SKIPPED:
            outcome = replace(dead(outcome.reason, parcel.doubts, outcome.tries), warnings=outcome.warnings)
        return Progress(outcome, parcel.next_attempt(parcel.email, parcel.doubts), True)

    def _claim(self, parcel: Parcel, token: str, offer: str = "") -> Parcel | None:
        """Claim a parcel; return it with the doubts that the ledger knows of. None if nothing is left to do."""
        claim = self.ledger.claim(parcel, self.settings.address_key(), token, self.clock(), offer)
        if claim.holder is Holder.ANOTHER:
            raise ClaimedElsewhere(claim.lease_seconds)
        return replace(parcel, doubts=claim.offered) if claim.holder is Holder.US else None

    def _settle(self, progress: Progress, token: str, deadline: float, *, inline: bool) -> Outcome | None:
        """Record the outcome; or, where it is not final, enqueue the next attempt as long as the message lives."""
        outcome, following = progress.outcome, progress.following
        message = following.message
        if outcome.retry_in is None:
            recorded = self._record(following, token, outcome, deadline)
            if progress.is_certain:
                self.watch(following, token, outcome)
            return recorded
        delay = (
            outcome.retry_in if outcome.tries else postponement(following.postponed, following.lane, outcome.retry_in)
        )
        left = time_left(message.expires_at, self.clock(), delay)
        if left is not None and not (inline and not following.doubts):
            # First the queue, then the ledger, then the acknowledgment: a crash in between repeats, never loses.
            self.enqueue(following, left)
            outcome = replace(outcome, retry_in=left)
            if progress.is_claimed:
                self.ledger.release(message.id, token, following.attempt, outcome, following.doubts)
            return outcome
        if not progress.is_claimed:
            claimed = self._claim(following, token)
            if claimed is None:
                return None
            following = claimed
        status = Status.UNKNOWN if following.doubts else Status.FAILED
        outcome = replace(
            outcome, status=status, retry_in=None, provider=following.doubts[-1] if following.doubts else ""
        )
        if not inline:
            self.queue.dead_letter(seal(following, self.settings.address_key()))
        return self._record(following, token, outcome, deadline)

    def _record(self, parcel: Parcel, token: str, outcome: Outcome, deadline: float) -> Outcome:
        """Record a final outcome, again and again if need be. That a mail was sent is not lost: else it is queued."""
        for pause in RECORD_PAUSES_SECONDS:
            try:
                self.finish(parcel.message, token, outcome, parcel.doubts)
            except TemporaryFailure:
                if self.clock() + pause + RECORD_SECONDS > deadline:
                    break
                self.dispatch.sleep(pause)
            else:
                return outcome
        if outcome.status is not Status.SENT:
            raise TemporaryFailure("ledger", "not_recorded")
        self.is_ledger_away = True
        times = parcel.postponed if parcel.settled else 0
        message = parcel.message.without_data()
        settled = replace(parcel, message=message, email=None, settled=outcome, postponed=times + 1)
        self.enqueue(settled, postponement(times, parcel.lane))
        return outcome

    def _reject(self, parcel: Parcel, deadline: float) -> Outcome | None:
        """End a parcel that carries text without a valid seal. An operator finds it among the dead letters."""
        token = secrets.token_hex(8)
        claimed = self._claim(replace(parcel, email=None, settled=None), token)
        if claimed is None:
            return None
        self.queue.dead_letter(parcel)
        return self._record(claimed, token, Outcome(Status.FAILED, "not_sealed"), deadline)

    def _is_worth_waiting(self, outcome: Outcome, deadline: float) -> bool:
        """Return whether a provider may accept the mail before the caller has to get an answer."""
        errors = [tried.error for tried in outcome.tries if tried.error]
        passing = not errors or any(issubclass(error, TemporaryFailure | UnknownOutcome) for error in errors)
        return (
            passing
            and outcome.retry_in is not None
            and self.clock() + outcome.retry_in + MAX_REQUEST_SECONDS < deadline
        )
