"""What follows from a report: the message's row, the list of suppressed addresses, the tally."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mailroom.aws.client import Aws
from mailroom.feedback._authentication import TOLERANCE_SECONDS, Unauthenticated
from mailroom.feedback.suppression import Suppressions, cause_of, policy_of
from mailroom.ledger.table import Heard, Ledger, keyed_hash
from mailroom.model.event import Event, Report
from mailroom.model.mailbox import canonical, is_address
from mailroom.settings import Settings

__all__ = ["Intake"]

MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
AT_ONCE = 8  # writes: SendGrid posts up to some two thousand events, and waits

Taken = tuple[Event, Heard, dict[str, Any]]


@dataclass(slots=True)
class Intake:
    """Everything one process needs to take in reports."""

    settings: Settings
    ledger: Ledger
    suppressions: Suppressions
    clock: Callable[[], float] = time.time
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE))  # of threads that start late

    @classmethod
    def from_env(cls, aws: Aws) -> "Intake":
        return cls(Settings.from_env(aws), Ledger.from_env(aws), Suppressions(aws, os.environ["TABLE_NAME"]))

    def take(self, report: Report) -> Iterator[Taken]:
        """Take in each event, and yield what it was to us and the row of its message."""
        now = self.clock()
        if report.token and not self.ledger.spend(report.token, report.body, now + 2 * TOLERANCE_SECONDS, now):
            raise Unauthenticated("the token was used before, for another body")
        for event, heard, row in self._record(report.events):
            if heard is Heard.NEWS:
                self.ledger.tally.count(row["tenant"], event.what, event.provider)
            # Also a repeated event, if a process died between recording it and suppressing its recipient.
            if heard is Heard.NEWS or (heard is Heard.REPEATED and event.mark not in row.get("suppressed_by", ())):
                self._suppress(event, row, now)
            yield event, heard, row

    def _record(self, events: Sequence[Event]) -> Iterator[Taken]:
        """Write each event down: those of one mail in their order, those of different mails at the same time."""
        mails: dict[str, list[Event]] = {}
        for event in events:
            mails.setdefault(event.message_id or event.provider_id, []).append(event)
        walk = self.pool.map if len(mails) > 1 else map
        for taken in walk(self._record_of_one, mails.values()):
            yield from taken

    def _record_of_one(self, events: list[Event]) -> list[Taken]:
        (first, *_), taken = events, []
        message_id = first.message_id if MESSAGE_ID.fullmatch(first.message_id) else ""
        if not message_id and first.provider_id:
            message_id = self.ledger.find(first.provider_id)
        for event in events:
            heard, row = self.ledger.record(message_id, event) if message_id else (Heard.UNKNOWN, {})
            taken.append((event, heard, row))
        return taken

    def _suppress(self, event: Event, row: dict[str, Any], now: float) -> None:
        """Suppress the recipient of a message where an event demands it, and mark its row when that is done."""
        cause = cause_of(event)
        if cause is None:
            return
        tenant, recipient = row["tenant"], row["recipient"]
        # A server may report the address to which it forwarded a mail: the one that we wrote to is suppressed.
        is_recipient = is_address(event.recipient) and recipient == keyed_hash(
            self.settings.address_key(), canonical(event.recipient)
        )
        address = event.recipient if is_recipient else row["to"]
        days = policy_of(self.settings, tenant)[cause]
        self.suppressions.add(tenant, recipient, address, cause, days, event.provider, min(event.at, now))
        self.ledger.mark_suppressed(row["pk"], event)
