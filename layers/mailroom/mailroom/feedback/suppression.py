"""Who gets no more mail from a tenant, and until when.

suppressed#{tenant}#{hash}   one an address: why, since and until when for each lane. The one place that keeps an
                             address, because an operator has to act on it.

Ledger.is_suppressed reads it once for each try of a mail: half a read.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.ledger.table import suppression_of
from mailroom.model.event import Event, Reason, What
from mailroom.model.kinds import Lane
from mailroom.settings import Settings

__all__ = ["DAY", "Cause", "Policy", "Suppressions", "cause_of", "entry", "policy_of"]

DAY = 24 * 3600.0
LONGEST = 36_500  # days


class Cause(StrEnum):
    """Why an address is suppressed."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


# For how many days. Whoever asks for a code waits for it, and is locked out without: so a bounce keeps codes back only
# long enough to end a burst of them, and a complaint, which may have been about another's request, not at all.
DEFAULTS: Mapping[Cause, Mapping[Lane, float]] = {
    Cause.BOUNCE: {Lane.CODES: 7, Lane.NOTICES: 180},
    Cause.COMPLAINT: {Lane.CODES: 0, Lane.NOTICES: 1825},
    Cause.UNSUBSCRIBE: {Lane.CODES: 0, Lane.NOTICES: 1825},
}
CAUSES = {
    Reason.PREVIOUS_BOUNCE: Cause.BOUNCE,
    Reason.PREVIOUS_COMPLAINT: Cause.COMPLAINT,
    Reason.UNSUBSCRIBED: Cause.UNSUBSCRIBE,
}
# A permanent refusal that says something of the mail, or of who sends it, says nothing of the address.
NOT_THE_ADDRESS = (Reason.BLOCKED, Reason.CONTENT, Reason.TOO_LARGE, Reason.QUOTA)

Policy = Mapping[Cause, Mapping[Lane, float]]


def cause_of(event: Event) -> Cause | None:
    """Return why an event keeps further mail back, if it does."""
    match event.what:
        case What.BOUNCED if event.permanent and event.reason not in NOT_THE_ADDRESS:
            return Cause.BOUNCE
        case What.COMPLAINED:
            return Cause.COMPLAINT
        case What.UNSUBSCRIBED:
            return Cause.UNSUBSCRIBE
        case What.SUPPRESSED if event.reason:
            return CAUSES.get(event.reason)
    return None


def policy_of(settings: Settings, tenant: str) -> Policy:
    """Return for how many days what keeps mail back: ours, completed by the default tenant's and the tenant's own."""
    policy = {cause: dict(days) for cause, days in DEFAULTS.items()}
    for name in dict.fromkeys(("suppression/default", f"suppression/{tenant}")):
        for cause, days in settings.json(name).items():
            if cause not in DEFAULTS or not isinstance(days, dict) or not all(map(_is_sound, days.items())):
                example = '{"bounce": {"codes": 7, "notices": 180}}'
                raise settings.malformed(name, f"it must be days by cause and lane, such as {example}")
            policy[Cause(cause)] |= {Lane(lane): number for lane, number in days.items()}
    return policy


def _is_sound(item: tuple[str, Any]) -> bool:
    lane, days = item
    return lane in list(Lane) and isinstance(days, int | float) and 0 <= days <= LONGEST


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What writes the list, which is in the ledger's table."""

    aws: Aws
    table: str

    def add(
        self, tenant: str, recipient: str, address: str, cause: Cause, days: Mapping[Lane, float], source: str
    ) -> None:
        """Suppress the recipient of this hash, no shorter than it is already."""
        pk = suppression_of(tenant, recipient)
        get = {"TableName": self.table, "Key": {"pk": {"S": pk}}, "ConsistentRead": True}
        row = decode_item(self.aws.call("dynamodb", "GetItem", get).get("Item", {}))
        item = {"pk": pk} | entry(row, tenant, address, cause, days, source, time.time())
        put = {"TableName": self.table, "Item": {name: encode(value) for name, value in item.items()}}
        self.aws.call("dynamodb", "PutItem", put)


def entry(
    row: Mapping[str, Any], tenant: str, address: str, cause: Cause, days: Mapping[Lane, float], source: str, now: float
) -> dict[str, Any]:
    """Return what the list holds of an address from now on, where it held `row` before: never a shorter time."""
    until = {f"{lane}_until": max(now + days.get(lane, 0) * DAY, row.get(f"{lane}_until", 0)) for lane in Lane}
    facts = {"tenant": tenant, "address": address or row.get("address", ""), "cause": cause, "source": source}
    listed = {"since": now, "shard": "suppressed", "tenant_shard": f"{tenant}#suppressed"}
    return {**facts, **listed, **until, "ttl": int(max(until.values()))}
