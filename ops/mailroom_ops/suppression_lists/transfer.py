"""Entries of our suppression list from a provider's: for the period that the tenant's policy has for each cause."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailroom.feedback.suppression import Cause
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import is_address
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.suppressions import Entry, period_days
from mailroom_ops.settings.catalog import TENANT
from mailroom_ops.suppression_lists import Listing

__all__ = ["Transfer"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The plan of an import: its entries, the days by cause and lane, and the number of addresses that are left out."""

    entries: tuple[Entry, ...]
    days: Mapping[Cause, Mapping[Lane, float]]
    left_out: int

    @classmethod
    def of(cls, environment: Environment, tenant: str, listings: Iterable[Listing]) -> "Transfer":
        """Plan the import of listings. A provider keeps no end of a period, so that it begins today."""
        if not re.fullmatch(TENANT, tenant):
            raise InvalidInput("That is not the name of a tenant.", "A name is lower-case letters, digits and hyphens.")
        by_address: dict[str, Listing] = {}
        left_out = 0
        for listing in listings:
            if is_address(listing.address):
                by_address[listing.address] = listing
            else:
                left_out += 1
        causes = sorted({listing.cause for listing in by_address.values()})
        days = {cause: period_days(environment, tenant, cause) for cause in causes}
        now = datetime.now(UTC)
        ends = {
            cause: {lane: now + timedelta(days=number) if number else None for lane, number in period.items()}
            for cause, period in days.items()
        }
        entries = (
            Entry(tenant, item.address, item.cause, ends[item.cause][Lane.CODES], ends[item.cause][Lane.NOTICES])
            for item in by_address.values()
        )
        return cls(tuple(entries), days, left_out)
