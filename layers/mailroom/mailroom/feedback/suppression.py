"""The suppression list: which addresses get no more mail from a tenant, why, and until when.

suppressed#{tenant}#{hash}   one per address: cause, since, and until when for each lane. The only row that holds an
                             address in the clear, because an operator has to act on it. When an operator removes the
                             address, the row is reduced to `removed_at`, so that no older event adds it again.

`Ledger.is_suppressed` reads it once for each attempt to send a mail: half a read unit.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import RETENTION_SECONDS, suppression_of
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.kinds import Lane
from mailroom.model.parameter_names import suppression_names
from mailroom.settings import Settings

__all__ = [
    "DAY_SECONDS",
    "DEFAULTS",
    "MAX_DAYS",
    "MAX_WRITES",
    "Cause",
    "Suppressions",
    "cause_of",
    "entry",
    "if_unchanged",
    "policy_of",
    "removal",
]

DAY_SECONDS = 24 * 3600.0
MAX_DAYS = 36_500
# An event can only be about a message whose row still exists: twice that time, because rows outlive their TTL by days.
REMOVAL_RETENTION_SECONDS = 2 * RETENTION_SECONDS
MAX_WRITES = 5  # of one entry, where other processes change its row in between


class Cause(StrEnum):
    """Why an address is suppressed."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


# In days. Somebody waits for a code, and is locked out without it: so a bounce suppresses codes only long enough to end
# a burst of them, and a complaint, which may be about a code that somebody else requested, not at all.
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
# Reasons of a permanent bounce that are about the mail or its sender, and not about the address.
NOT_THE_ADDRESS = (Reason.BLOCKED, Reason.CONTENT, Reason.TOO_LARGE, Reason.QUOTA)

Policy = Mapping[Cause, Mapping[Lane, float]]


def cause_of(event: Event) -> Cause | None:
    """Return the cause for which an event suppresses its recipient, if it does."""
    match event.type:
        case EventType.BOUNCED if event.permanent and event.reason not in NOT_THE_ADDRESS:
            return Cause.BOUNCE
        case EventType.COMPLAINED:
            return Cause.COMPLAINT
        case EventType.UNSUBSCRIBED:
            return Cause.UNSUBSCRIBE
        case EventType.SUPPRESSED if event.reason:
            return CAUSES.get(event.reason)
    return None


def policy_of(settings: Settings, tenant: str) -> Policy:
    """Return suppression periods in days: built-in defaults, overridden by the default tenant, then by this tenant."""
    policy = {cause: dict(days) for cause, days in DEFAULTS.items()}
    for name in suppression_names(tenant):
        for cause, days in settings.json(name).items():
            if cause not in DEFAULTS or not isinstance(days, dict) or not all(map(_is_sound, days.items())):
                example = '{"bounce": {"codes": 7, "notices": 180}}'
                raise settings.malformed(name, f"it must be days by cause and lane, such as {example}")
            policy[Cause(cause)] |= {Lane(lane): number for lane, number in days.items()}
    return policy


def _is_sound(item: tuple[str, Any]) -> bool:
    lane, days = item
    return lane in list(Lane) and isinstance(days, int | float) and 0 <= days <= MAX_DAYS


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Writes the suppression list, which is part of the ledger's table."""

    aws: Aws
    table: str

    def add(
        self,
        tenant: str,
        recipient: str,
        address: str,
        cause: Cause,
        days: Mapping[Lane, float],
        source: str,
        at: float,
    ) -> None:
        """Suppress an address, given with its hash, for some days from `at` on, and never shorter than it is already.

        Nothing changes if the period is over, or if an operator has removed the address since.
        """
        key = {"pk": {"S": suppression_of(tenant, recipient)}}
        for _ in range(MAX_WRITES):
            read = {"TableName": self.table, "Key": key, "ConsistentRead": True}
            row = decode_item(self.aws.call("dynamodb", "GetItem", read).get("Item", {}))
            attributes = entry(row, tenant, address, cause, days, source, at)
            if at <= row.get("removed_at", 0) or max(attributes[f"{lane}_until"] for lane in Lane) <= time.time():
                return
            item = key | {name: encode(value) for name, value in attributes.items()}
            try:
                self.aws.call("dynamodb", "PutItem", {"TableName": self.table, "Item": item, **if_unchanged(row)})
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
            else:
                return
        raise TemporaryFailure("ledger", "contended")


def entry(
    row: Mapping[str, Any], tenant: str, address: str, cause: Cause, days: Mapping[Lane, float], source: str, at: float
) -> dict[str, Any]:
    """Return the attributes of an address that is suppressed from `at` on, where its row was `row`: never shorter."""
    until = {f"{lane}_until": max(at + days.get(lane, 0) * DAY_SECONDS, row.get(f"{lane}_until", 0)) for lane in Lane}
    facts = {"tenant": tenant, "address": address or row.get("address", ""), "cause": cause, "source": source}
    index = {"since": at, "shard": "suppressed", "tenant_shard": f"{tenant}#suppressed"}
    attributes: dict[str, Any] = {**facts, **index, **until, "ttl": int(max(until.values()))}
    if "removed_at" in row:
        mark = removal(row["removed_at"])
        return attributes | mark | {"ttl": max(attributes["ttl"], mark["ttl"])}
    return attributes


def removal(at: float) -> dict[str, Any]:
    """Return what remains of an entry that an operator removed: no address, and no attribute that an index lists."""
    return {"removed_at": at, "ttl": int(at + REMOVAL_RETENTION_SECONDS)}


def if_unchanged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that a row is still as it was read: each change of it sets or removes `since`."""
    names = {"ExpressionAttributeNames": {"#since": "since"}}
    if "since" in row:
        values = {":since": encode(row["since"])}
        return {"ConditionExpression": "#since = :since", "ExpressionAttributeValues": values, **names}
    return {"ConditionExpression": "attribute_not_exists(#since)", **names}
