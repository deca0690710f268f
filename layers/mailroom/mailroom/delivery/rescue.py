"""Rescue: a code that its provider has accepted and does not deliver goes out through the next one, once.

After such a code was sent, a check of it waits on the queue, with the rendered mail, and reads its row now and then:

- A report of the delivery, or of a final failure, ends it.
- A report of a deferral, or of a bounce that another sender may avoid, rescues the code at once.
- No report within `rescue_after` rescues it, where the provider normally reports deliveries to that group of domains in
  that time. So a provider that reports badly causes no copies.

The copy is bounded like any second copy: the row names the account before a byte leaves, and a mail that was ever in
doubt is not rescued. A code that has expired or was replaced is not either.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from mailroom.delivery.chain import in_order
from mailroom.delivery.deliver import Delivery
from mailroom.delivery.handover import next_check_in
from mailroom.delivery.retry import LAST_MOMENT_SECONDS, retry_delay
from mailroom.delivery.seal import is_authentic
from mailroom.errors import ConfigurationError, PermanentFailure, UnknownOutcome
from mailroom.ledger.domain_health import count_sent
from mailroom.model.domain_groups import group_of
from mailroom.model.event import EventType, Reason
from mailroom.model.message import Handover, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.model.record import Record

__all__ = ["check"]

RESCUED = "rescued"
DEFERRED, BOUNCED, NO_REPORT = "deferred", "bounced", "no_report"  # causes
# Of a bounce that is not final: the reasons that are about the sender or the way, and not about the mailbox.
AVOIDABLE = (Reason.BLOCKED, Reason.UNREACHABLE, Reason.CONTENT, Reason.QUOTA, Reason.OTHER)
UNDECIDED = (Status.ACCEPTED, Status.SENT, Status.BOUNCED)


def check(delivery: Delivery, parcel: Parcel, deadline: float) -> Outcome | None:
    """Rescue a code that has not arrived, or enqueue its next check; None unless the code was sent once more."""
    message, handover, now = parcel.message, parcel.handover, delivery.clock()
    if handover is None or not parcel.email or message.expires_at - now <= LAST_MOMENT_SECONDS:
        return None
    delivery.settings.prefetch(message.tenant, message.purpose)
    if not is_authentic(parcel, delivery.settings.address_key()):
        return None
    try:
        rescue_after = delivery.settings.sender(message.tenant, message.purpose).rescue_after
    except ConfigurationError:
        return None  # as each mail of this sender reports
    record = delivery.ledger.waiting_for_delivery(message.id, handover.token)
    if not rescue_after or record is None or record.status not in UNDECIDED:
        return None
    due_in = handover.at + rescue_after - now
    cause = _cause(record)
    if record.status is Status.BOUNCED and not cause:
        return None
    if record.status is Status.ACCEPTED or (not cause and due_in > 0):
        _enqueue(delivery, parcel, next_check_in(due_in))
        return None
    if not cause and not delivery.ledger.habits.reports(handover.account, group_of(message.to), rescue_after, now):
        return None
    return _rescue(delivery, parcel, handover, record, cause or NO_REPORT, deadline)


def _cause(record: Record) -> str:
    """Return which report shows that a mail needs another provider, if any does."""
    for entry in record.timeline:
        if entry.event == EventType.DEFERRED:
            return DEFERRED
        if entry.event == EventType.BOUNCED and entry.how and (entry.reason or Reason.OTHER) in AVOIDABLE:
            return BOUNCED
    return ""


def _rescue(
    delivery: Delivery, parcel: Parcel, handover: Handover, record: Record, cause: str, deadline: float
) -> Outcome | None:
    message, ready = parcel.message, delivery.render(parcel)
    doubtful = replace(parcel, doubts=(handover.account,))  # it has the mail: at most one other may get it, too
    chain = [account for account in in_order(ready.chain, handover.account) if account != handover.account]
    key = delivery.settings.address_key()
    if not chain or delivery.ledger.is_suppressed(message, parcel.lane, key, delivery.clock()):
        return None
    choice = delivery.dispatch.choose(doubtful, chain)
    if not choice.account:
        if choice.wait is not None:
            _enqueue(delivery, parcel, choice.wait)
        return None
    delivery.dispatch.sleep_briefly(choice.wait)
    token, claims = secrets.token_hex(8), list[Attempt]()

    def permit(account: str, offered: tuple[str, ...]) -> str:
        checked_at = delivery.clock()
        if reason := delivery.outdated((message,)):
            return reason
        if not delivery.ledger.claim_rescue(message.id, handover.token, token, account, record.status):
            return RESCUED  # by another process; or it was delivered meanwhile
        claims.append(Attempt(delivery.clock(), account, "rescue", cause))
        return delivery.outdated((message,), checked_at)

    outcome, _ = delivery.dispatch.send(doubtful, ready.email, chain, deadline, permit)
    if not outcome.tries:
        if claims:  # it became outdated after the claim, or no time was left
            delivery.ledger.end_rescue(message.id, token, (), (), is_open=True)
        if outcome.status is Status.ACCEPTED:
            _enqueue(delivery, parcel, outcome.retry_in or 0.0)
        return None
    tries = (claims[0], *outcome.tries)
    if outcome.status is Status.SENT:
        delivery.ledger.end_rescue(message.id, token, tries, (outcome.provider,), was_bounced=cause == BOUNCED)
        delivery.ledger.tally.count(message.tenant, Status.SENT, outcome.provider)
        delivery.ledger.tally.count(message.tenant, RESCUED, outcome.provider)
        count_sent(delivery.ledger.tally, message, outcome.provider, delivery.own_domain(message))
        return replace(outcome, reason=RESCUED, tries=tries)
    unanswered = _unanswered(outcome.tries)
    may_try_again = not unanswered and not _is_refused(outcome.tries) and outcome.status is Status.ACCEPTED
    delivery.ledger.end_rescue(message.id, token, tries, unanswered, is_open=may_try_again)
    if may_try_again:
        _enqueue(delivery, replace(parcel, requests=parcel.requests + 1), outcome.retry_in or retry_delay(parcel))
    return None


def _unanswered(tries: Sequence[Attempt]) -> tuple[str, ...]:
    return tuple(attempt.provider for attempt in tries if attempt.error is UnknownOutcome)


def _is_refused(tries: Sequence[Attempt]) -> bool:
    return any(attempt.error is PermanentFailure for attempt in tries)


def _enqueue(delivery: Delivery, parcel: Parcel, delay: float) -> None:
    """Enqueue the next check, unless the code expires before it. One attempt: else the record is put back."""
    if delivery.clock() + delay < parcel.message.expires_at - LAST_MOMENT_SECONDS:
        delivery.queue.put_back(parcel, delay)  # its seal is still that of its message, email and handover
