"""What follows from a report: the message's row, the list of suppressed addresses, the tally."""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mailroom.aws import Aws
from mailroom.event import Event, Report
from mailroom.feedback._proof import TOLERANCE, unproven
from mailroom.ledger import Heard, Ledger, keyed_hash
from mailroom.mailbox import canonical, is_address
from mailroom.settings import Settings
from mailroom.suppression import Suppressions, cause_of, policy_of

__all__ = ["Intake"]

MESSAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Intake:
    """Everything one process needs to take in reports."""

    settings: Settings
    ledger: Ledger
    suppressions: Suppressions
    clock: Callable[[], float] = time.time

    @classmethod
    def from_env(cls, aws: Aws) -> "Intake":
        return cls(Settings.from_env(aws), Ledger.from_env(aws), Suppressions(aws, os.environ["TABLE_NAME"]))

    def take(self, report: Report) -> Iterator[tuple[Event, Heard, dict[str, Any]]]:
        """Take in each event, and yield what it was to us and the row of its message."""
        now = self.clock()
        if report.token and not self.ledger.spend(report.token, report.body, now + 2 * TOLERANCE, now):
            raise unproven("it has been sent before, with other words")
        for event in report.events:
            message_id = event.message_id if MESSAGE_ID.fullmatch(event.message_id) else ""
            if not message_id and event.provider_id:
                message_id = self.ledger.find(event.provider_id)
            heard, row = self.ledger.record(message_id, event) if message_id else (Heard.UNKNOWN, {})
            if heard is Heard.NEWS:
                self.ledger.tally.count(row["tenant"], event.what, event.provider)
            if row:  # also what comes again: the first time may have ended between its row and here
                self._suppress(event, row)
            yield event, heard, row

    def _suppress(self, event: Event, row: dict[str, Any]) -> None:
        cause = cause_of(event)
        if cause is None:
            return
        tenant, recipient = row["tenant"], row["recipient"]
        # A server may report where it forwarded a mail to: what is suppressed is the address that we wrote to.
        ours = is_address(event.recipient) and recipient == keyed_hash(
            self.settings.address_key(), canonical(event.recipient)
        )
        address = event.recipient if ours else row["to"]
        days = policy_of(self.settings, tenant)[cause]
        self.suppressions.add(tenant, recipient, address, cause, days, event.provider)
