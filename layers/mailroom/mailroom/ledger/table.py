"""The table of what happened: who works on a message now, what became of it, and what was newer.

Never a code, a link, a subject or a body; an address only hashed and masked. Two rows a mail. On the way out it costs
three writes, four in the indexes by which operators look it up, half a read for the list of suppressed addresses, and
two for each invocation's tally; then one for each thing its provider reports.

message#{id}   one a message: status, reason, provider, timeline; `lease` and `claim` while someone works on it
reader#{hash}  one a reader and kind: the newest message, so that an older code is not sent after it
asked#{hash}   one a request to `send`, by the name its caller gave it: the message it became
once#{hash}    one a thing said, for kinds of which an older one stays true: the message that says it

token#{hash}   one a token that a provider signs with: the body it was for

suppressed#…   see suppression.py
tally#…        see tally.py
"""

import hashlib
import hmac
import json
import os
import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.errors import TemporaryFailure
from mailroom.ledger.tally import Tally
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical, mask
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.model.record import Record

if TYPE_CHECKING:
    from mailroom.model.event import Event

__all__ = [
    "KEPT",
    "LEASE",
    "MAX_TIMELINE_ENTRIES",
    "SAME_WITHIN",
    "Admission",
    "Claim",
    "EventEffect",
    "Ledger",
    "Standing",
    "keyed_hash",
    "shards_of",
    "suppression_of",
]

LEASE = 25.0  # longer than the function that holds it may run
KEPT = 30 * 24 * 3600
MAX_TIMELINE_ENTRIES = 60  # a provider that retries for days reports each time, and each write pays for the whole row
MAX_WRITES = 10  # of one event, where other processes change its row in between
SAME_WITHIN = 60.0  # two messages that say the same within a minute are one


# An event moves a message's status forward, never back. A skipped message stays skipped.
STATUS_ORDER = (
    *(Status.ACCEPTED, Status.UNKNOWN, Status.SENT, Status.FAILED),
    *(Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED),
)


class Claim(StrEnum):
    """Whether a parcel is ours to work on."""

    OURS = "ours"
    BUSY = "busy"  # another process holds it, or died holding it: come back when its lease has ended
    DONE = "done"  # it has its outcome, or a later try of it is on its way


class Standing(StrEnum):
    """How a message stands to the others for the same reader."""

    CURRENT = "current"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"


class EventEffect(StrEnum):
    """The effect of an event on the ledger: only a new one changes it."""

    NEW = "new"
    REPEATED = "repeated"  # recorded before, or one more than the timeline takes
    UNKNOWN = "unknown"  # about a message that is not in the ledger, or no longer
    FOREIGN = "foreign"  # from an account that cannot have the message


@dataclass(frozen=True, slots=True)
class Admission:
    """The one message a request became, and a keyed hash of all that it asked for."""

    message_id: str
    request_hash: str
    created_at: float


class Ledger:
    """Reads and writes the table; every write is conditional, so that a second process cannot undo the first."""

    def __init__(self, aws: Aws, table: str, shards: int = 1) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self.tally = Tally(aws, table, shards)

    @classmethod
    def from_env(cls, aws: Aws) -> "Ledger":
        return cls(aws, os.environ["TABLE_NAME"], shards_of(os.environ["ENVIRONMENT"]))

    def claim(self, parcel: Parcel, address_key: str, token: str, now: float) -> Claim:
        """Take a parcel for this process until the lease ends; saying it twice with one `token` is saying it once."""
        message = parcel.message
        held = {"claim": token, "lease": now + LEASE, "attempt": parcel.attempt}
        try:
            self._update(
                f"message#{message.id}",
                held,
                once=self._first(message, address_key, now),
                condition="attribute_not_exists(pk) OR "
                "(#status = :accepted AND #attempt <= :attempt AND (#claim = :claim OR #lease < :now))",
                values={":accepted": Status.ACCEPTED, ":now": now},
            )
        except AwsError as refusal:
            row = _old_item(refusal)
            over = row["status"] != Status.ACCEPTED or row["attempt"] > parcel.attempt
            return Claim.DONE if over else Claim.BUSY
        return Claim.OURS

    def admit(self, name: str, wanted: Admission, until: float, now: float, *, instead_of: str = "") -> Admission:
        """Let a request become the wanted message; return what it became, which is another if it was made before."""
        try:
            self._update(
                f"asked#{name}",
                {
                    "message": wanted.message_id,
                    "said": wanted.request_hash,
                    "created": wanted.created_at,
                    "ttl": int(until),
                },
                condition="attribute_not_exists(pk) OR #ttl < :now OR #message = :instead_of",
                values={":now": now, ":instead_of": instead_of},
            )
        except AwsError as refusal:
            row = _old_item(refusal)
            return Admission(row["message"], row["said"], row["created"])
        return wanted

    def accept(self, message: Message, address_key: str, now: float) -> bool:
        """Write down a message before it is queued; False if some process has taken it up from its queue already."""
        first = self._first(message, address_key, now) | {"claim": "", "lease": 0, "attempt": 0}
        try:
            self._update(f"message#{message.id}", first, condition="attribute_not_exists(pk)", values={})
        except AwsError as refusal:
            return not _old_item(refusal)["claim"]
        return True

    def read(self, message_id: str) -> Record | None:
        """Return the record of a message."""
        key = {"pk": {"S": f"message#{message_id}"}}
        answer = self._aws.call("dynamodb", "GetItem", {"TableName": self._table, "Key": key, "ConsistentRead": True})
        return Record.from_row(decode_item(answer["Item"])) if "Item" in answer else None

    def stand(self, message: Message, address_key: str, now: float) -> Standing:
        """Put a message in its place among those for the same reader, and tell which place that is."""
        if not message.identity:
            return Standing.CURRENT
        # Keyed, because who knows the reader needs only a million guesses for a code of six digits.
        identity = keyed_hash(address_key, message.identity)
        scope = [message.tenant, message.to.lower(), message.kind] if message.supersedes else [message.identity]
        row = "reader" if message.supersedes else "once"
        try:
            self._update(
                f"{row}#{keyed_hash(address_key, json.dumps(scope))}",
                {
                    "message": message.id,
                    "identity": identity,
                    "created": message.created_at,
                    "ttl": int(now + KEPT),
                },
                condition="attribute_not_exists(pk) OR #message = :message OR "
                "(#created < :created AND (#identity <> :identity OR #created < :earlier))",
                values={":earlier": message.created_at - SAME_WITHIN},
            )
        except AwsError as refusal:
            old = _old_item(refusal)
            return Standing.DUPLICATE if old["identity"] == identity else Standing.SUPERSEDED
        return Standing.CURRENT

    def is_suppressed(self, message: Message, lane: Lane, address_key: str, now: float) -> bool:
        """Tell whether the reader gets nothing from this tenant on this lane: see suppression.py."""
        pk = suppression_of(message.tenant, keyed_hash(address_key, canonical(message.to)))
        answer = self._aws.call("dynamodb", "GetItem", {"TableName": self._table, "Key": {"pk": {"S": pk}}})
        return float(decode_item(answer.get("Item", {})).get(f"{lane}_until", 0)) > now

    def finish(self, message_id: str, token: str, outcome: Outcome, now: float) -> None:
        """Record the end of a message; what a provider reported in the meantime stays."""
        end = {"at": now, "status": outcome.status} | _without_empty(
            {"reason": outcome.reason, "id": outcome.provider_id}
        )
        pk, append = f"message#{message_id}", [*map(_entry, outcome.tries), end]
        facts = {"lease": 0, "ended": now} | _without_empty(
            {"provider": outcome.provider, "provider_id": outcome.provider_id}
        )
        try:
            self._update(
                pk,
                facts | {"status": outcome.status} | _without_empty({"reason": outcome.reason}),
                append=append,
                condition="#claim = :claim AND #status = :accepted",
                values={":claim": token, ":accepted": Status.ACCEPTED},
            )
        except AwsError as refusal:
            row = _old_item(refusal)
            if row.get("claim") != token:
                raise
            if "ended" not in row:  # the provider's report was quicker than we are, and tells more than we know
                self._update(pk, facts, append=append, condition="#claim = :claim", values={":claim": token})

    def release(self, message_id: str, token: str, attempt: int, outcome: Outcome) -> None:
        """Record tries that settled nothing; the parcel of `attempt` may be claimed from now on, no older one."""
        self._update(
            f"message#{message_id}",
            {"lease": 0, "attempt": attempt},
            append=list(map(_entry, outcome.tries)),
            condition="#claim = :claim",
            values={":claim": token},
        )

    def record(self, message_id: str, event: "Event") -> tuple[EventEffect, dict[str, Any]]:
        """Record a provider's event on the row of its message, once; return the effect and the row.

        The first write assumes the common case, in which the reporting account sent the mail. Where it is refused, the
        row decides, and the next write requires that the row has not changed since.
        """
        how = "transient" if event.is_soft_bounce else ""
        details = {"reason": event.reason or "", "detail": event.detail, "how": how}
        entry = {"at": event.at, "event": event.type, "provider": event.provider} | _without_empty(details)
        change: dict[str, Any] = {}
        earlier: tuple[Status, ...] = ()
        if status := event.type.status:
            change = {"status": status, "reason": event.reason or ""}
            # An absence note is a soft bounce too: it does not undo a delivery.
            earlier = STATUS_ORDER[: STATUS_ORDER.index(Status.DELIVERED if event.is_soft_bounce else status)]

        def write(change: Mapping[str, Any], condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
            return self._update(
                f"message#{message_id}",
                change,
                append=[entry],
                add={"events": frozenset([event.dedup_key])},
                condition=f"attribute_exists(pk) AND NOT contains(#events, :mark) AND {condition}",
                values={":mark": event.dedup_key, **values},
            )

        statuses: dict[str, Any] = {f":earlier{number}": value for number, value in enumerate(earlier)}
        condition = "(#provider = :account OR contains(#offered, :account)) AND "
        condition += f"#status IN ({', '.join(statuses)})" if statuses else "size(#timeline) < :most"
        values = {":account": event.provider, **(statuses or {":most": MAX_TIMELINE_ENTRIES})}
        for _ in range(MAX_WRITES):
            try:
                return EventEffect.NEW, write(change, condition, values)
            except AwsError as refusal:
                row = _old_item(refusal)
            if not row:
                return EventEffect.UNKNOWN, {}
            if event.dedup_key in row.get("events", ()):
                return EventEffect.REPEATED, row
            if not _may_report(event, row):
                return EventEffect.FOREIGN, row
            if row["status"] not in earlier:
                change = {}
            if not change and len(row["timeline"]) >= MAX_TIMELINE_ENTRIES:
                return EventEffect.REPEATED, row
            condition, values = _unchanged(row, "status", "provider")
        raise TemporaryFailure("ledger", "contended")

    def mark_suppressed(self, pk: str, event: "Event") -> None:
        """Mark on a message's row that the recipient is suppressed for this event, so that a repeat does nothing."""
        add = {"suppressed_by": frozenset([event.dedup_key])}
        self._update(pk, {}, add=add, condition="attribute_exists(pk)", values={})

    def consume_token(self, token: str, body: bytes, until: float, now: float) -> bool:
        """Consume a token that is valid for one body; False if it was used for another one."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        try:
            self._update(
                f"token#{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}",
                {"said": digest, "ttl": int(until)},
                condition="attribute_not_exists(pk) OR #said = :said OR #ttl < :now",
                values={":now": now},
            )
        except AwsError as refusal:
            _old_item(refusal)
            return False
        return True

    def find(self, provider_id: str) -> str:
        """Return the id of the message that a provider knows by its own id, or nothing."""
        query = {
            "TableName": self._table,
            "IndexName": "by_provider_id",
            "KeyConditionExpression": "provider_id = :id",
            "ExpressionAttributeValues": {":id": {"S": provider_id}},
            "Limit": 1,
        }
        items = self._aws.call("dynamodb", "Query", query)["Items"]
        return items[0]["pk"]["S"].removeprefix("message#") if items else ""

    def _update(
        self,
        pk: str,
        attributes: Mapping[str, Any],
        *,
        condition: str,
        values: Mapping[str, Any],
        once: Mapping[str, Any] = {},
        append: Iterable[Mapping[str, Any]] = (),
        add: Mapping[str, Collection[str]] = {},
    ) -> dict[str, Any]:
        sets = [f"#{name} = :{name}" for name in attributes]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in once]
        entries = list(append)
        everything = {**{f":{name}": value for name, value in {**attributes, **once, **add}.items()}, **values}
        names = {*attributes, *once, *add, *re.findall(r"#(\w+)", condition)}
        if entries:
            sets.append("#timeline = list_append(#timeline, :entries)")
            everything[":entries"] = entries
            names.add("timeline")
        clauses = {"SET": sets, "ADD": [f"#{name} :{name}" for name in add]}
        answer = self._aws.call(
            "dynamodb",
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": {"pk": {"S": pk}},
                "UpdateExpression": " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {f"#{name}": name for name in names},
                "ExpressionAttributeValues": {name: encode(value) for name, value in everything.items()},
                "ReturnValues": "ALL_NEW" if add else "NONE",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
        )
        return decode_item(answer.get("Attributes", {}))

    def _first(self, message: Message, address_key: str, now: float) -> dict[str, Any]:
        shard = f"{zlib.crc32(message.id.encode()) % self._shards:x}"
        return {
            "tenant": message.tenant,
            "kind": message.kind,
            "source": message.source,
            "recipient": keyed_hash(address_key, canonical(message.to)),
            "to": mask(message.to),
            "created": message.created_at,
            "status": Status.ACCEPTED,
            "timeline": [],
            "ttl": int(now + KEPT),
            "shard": shard,
            "tenant_shard": f"{message.tenant}#{shard}",
        }


def shards_of(environment: str) -> int:
    """Return over how many partitions what is looked up by time is spread: each takes 1,000 writes a second."""
    return 1 if environment == "development" else 16


def suppression_of(tenant: str, recipient: str) -> str:
    return f"suppressed#{tenant}#{recipient}"


def keyed_hash(key: str, text: str) -> str:
    """Name an address so that only who holds the key of the environment can tell whose it is."""
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256).hex()[:32]


def _unchanged(row: Mapping[str, Any], *names: str) -> tuple[str, dict[str, Any]]:
    """Return a condition, with its values, that a row still has the attributes that were read."""
    conditions = [f"#{name} = :seen_{name}" if name in row else f"attribute_not_exists(#{name})" for name in names]
    return " AND ".join(conditions), {f":seen_{name}": row[name] for name in names if name in row}


def _may_report(event: "Event", row: Mapping[str, Any]) -> bool:
    """Return whether the reporting account sent the mail, may hold it, or could have been given it."""
    tried = {entry["provider"] for entry in row["timeline"] if "answer" in entry}
    carriers = tried.union(row.get("offered", ()), filter(None, [row.get("provider")]))
    if any(event.can_be_about_mail_of(carrier) for carrier in carriers):
        return True
    return "provider" not in row and event.account_owner in ("", row["tenant"])


def _entry(done: Attempt) -> dict[str, Any]:
    return {"at": done.at, "provider": done.provider, "answer": done.answer} | _without_empty(
        {"detail": done.detail, "error": done.error.category.lower() if done.error else ""}
    )


def _without_empty(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _old_item(refusal: AwsError) -> dict[str, Any]:
    if refusal.code != "ConditionalCheckFailedException":
        raise refusal
    return decode_item(refusal.body.get("Item", {}))
