"""Processing of reports: each event updates its message's row, the suppression list and the hourly counts."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from mailroom.aws.client import Aws
from mailroom.callbacks.outbox import Outbox
from mailroom.feedback.suppression import Suppressions, cause_of, policy_of
from mailroom.ledger.domain_health import count_report
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Ledger
from mailroom.model.event import Event, EventEffect, EventType, Report
from mailroom.model.mailbox import canonical, is_address
from mailroom.model.outcome import Status
from mailroom.model.record import Record
from mailroom.settings import Settings
from mailroom.webhooks.authentication import TOLERANCE_SECONDS, Unauthenticated

__all__ = ["Intake"]

MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
MAX_PARALLEL_WRITES = 8  # SendGrid posts up to some two thousand events, and waits

# Reports that a copy of a mail will not arrive: of a soft bounce, too, its provider has given up.
ENDED = (EventType.BOUNCED, EventType.REJECTED, EventType.FAILED, EventType.SUPPRESSED)

Processed = tuple[Event, EventEffect, Record | None]


@dataclass(slots=True)
class Intake:
    """Everything one process needs to process reports, kept warm between them."""

    settings: Settings
    ledger: Ledger
    suppressions: Suppressions
    outbox: Outbox
    clock: Callable[[], float] = time.time
    # Its threads start when they are needed.
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(MAX_PARALLEL_WRITES))

    @classmethod
    def from_env(cls, aws: Aws) -> "Intake":
        settings, suppressions = Settings.from_env(aws), Suppressions(aws, os.environ["TABLE_NAME"])
        return cls(settings, Ledger.from_env(aws), suppressions, Outbox.from_env(aws, settings))

    def process(self, report: Report) -> Iterator[Processed]:
        """Process each event; yield it with its effect and the record of its message."""
        now = self.clock()
        expiry = now + 2 * TOLERANCE_SECONDS
        if report.token and not self.ledger.consume_token(report.token, report.body, expiry, now):
            raise Unauthenticated("the token was used before, for another body")
        for event, effect, record in self._record(report.events):
            if record and effect is EventEffect.NEW:
                self.ledger.tally.count_event(record.tenant, event)
                count_report(self.ledger.tally, event, record)
                self._suppress(event, record, now)
            elif record and effect is EventEffect.REPEATED and event.dedup_key not in record.suppressed_by:
                self._suppress(event, record, now)  # a process may have died between recording and suppressing
            yield event, effect, record

    def _record(self, events: Sequence[Event]) -> Iterator[Processed]:
        """Record events: those of one message in their order, those of different messages in parallel."""
        messages: dict[str, list[Event]] = {}
        for event in events:
            messages.setdefault(event.message_id or event.provider_id, []).append(event)
        run = self.pool.map if len(messages) > 1 else map
        for processed in run(self._record_for_message, messages.values()):
            yield from processed

    def _record_for_message(self, events: list[Event]) -> list[Processed]:
        first = events[0]
        message_id = first.message_id if MESSAGE_ID.fullmatch(first.message_id) else ""
        if not message_id and first.provider_id:
            message_id = self.ledger.find(first.provider_id)
        # An id of another form is somebody else's tag on somebody else's mail, and may be anything.
        events = [replace(event, message_id=message_id) for event in events]
        if not message_id:
            return [(event, EventEffect.UNKNOWN, None) for event in events]
        return [(event, *self._record_event(message_id, event)) for event in events]

    def _record_event(self, message_id: str, event: Event) -> tuple[EventEffect, Record | None]:
        """Record an event, and queue it for a tenant with a callback; also a repeated one: a process may have died."""
        effect, record = self.ledger.record(message_id, event)
        if record and effect in (EventEffect.NEW, EventEffect.REPEATED):
            self.settings.prefetch_report(record.tenant)
            self.outbox.add_report(event, record)
        return effect, record

    def _suppress(self, event: Event, record: Record, now: float) -> None:
        """Suppress the recipient of a message where an event demands it, and mark its row when that is done."""
        cause = cause_of(event)
        if cause is None or (event.type is EventType.BOUNCED and _arrives_otherwise(event, record)):
            return
        # A server may report the address to which it forwarded a mail: the one that we wrote to is suppressed.
        is_recipient = is_address(event.recipient) and record.recipient == keyed_hash(
            self.settings.address_key(), canonical(event.recipient)
        )
        address = event.recipient if is_recipient else record.to
        days = policy_of(self.settings, record.tenant)[cause]
        at = min(event.at, now)
        self.suppressions.add(record.tenant, record.recipient, address, cause, days, event.provider, at)
        self.ledger.mark_suppressed(record.message_id, event)


def _arrives_otherwise(event: Event, record: Record) -> bool:
    """Return whether another copy of a mail that bounces has arrived, or still may: its address is good, then."""
    if record.status in (Status.DELIVERED, Status.COMPLAINED):
        return True
    others = [entry for entry in record.timeline if not event.can_be_about_mail_of(entry.provider)]
    is_undecided = any(entry.answer == "accepted" for entry in others)
    return is_undecided and not any(entry.event in ENDED for entry in others)
