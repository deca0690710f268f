"""The DynamoDB table of message state: current lease, outcome, timeline, and the newest message per recipient.

Never a code, a link, a subject or a body; an address only hashed and masked. Two rows per mail. An outbound mail costs
three writes, three or four in the indexes by which operators look it up, half a read for the suppression list, and two
for each invocation's counters; then one for each event that its provider reports.

message#{id}   one per message: status, reason, provider, timeline; `lease` and `claim` while a process works on it;
               `offered`: the accounts that may hold the mail, because they were asked and have not refused it;
               `rescued`: the account that got a second copy, because the first one did not deliver it;
               `batch`: the request that it shares with other messages, while that request owns it;
               `next_at`: the time of the next attempt, for operators
asked#{hash}   one per request to `send`, by its idempotency key or content: the message it became
token#{hash}   one per token that a provider signs with: the body it was for
request#{name} one per request of a batch: the key that it leaves under, or how it ended

recipient#…    see recipients.py
suppressed#…   see feedback/suppression.py
tally#…        see tally.py
day#…          see daily.py
"""

import hashlib
import os
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.errors import TemporaryFailure
from mailroom.ledger.daily import DailyCounts
from mailroom.ledger.habits import Habits
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.recipients import Recipients, is_superseded, recipient_row
from mailroom.ledger.tally import Tally
from mailroom.model.event import Event, EventEffect, EventType
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical, mask
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.model.parameter_names import DEFAULT_TENANT
from mailroom.model.provider_ids import clean_id
from mailroom.model.record import Record

__all__ = [
    "LEASE_SECONDS",
    "MAX_TIMELINE_ENTRIES",
    "NOBODY",
    "RETENTION_SECONDS",
    "Admission",
    "Holder",
    "Ledger",
    "shards_of",
    "suppression_of",
]

LEASE_SECONDS = 25.0  # longer than any function that holds it may run
RETENTION_SECONDS = 30 * 24 * 3600
MAX_TIMELINE_ENTRIES = 60  # a provider that retries for days reports each time, and each write pays for the whole row
MAX_WRITES = 10  # of one event, where other processes change its row in between
NOBODY = ""  # `claim` and `batch` of a message that no process works on
KEYS_PER_READ = 100  # the most that BatchGetItem takes
PLACEHOLDER = re.compile(r"#(\w+)")  # of an attribute, in an expression


# An event moves a message's status forward, never back. A skipped message stays skipped.
STATUS_ORDER = (
    *(Status.ACCEPTED, Status.UNKNOWN, Status.SENT, Status.FAILED),
    *(Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED),
)


class Holder(StrEnum):
    """The process that may work on a message."""

    US = "us"
    ANOTHER = "another"  # or one that died: its lease has not ended
    BATCH = "batch"  # a batch on the queue will send it, or has
    NONE = "none"  # the message has its final status, or a later attempt of it is queued


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim. `offered` are the accounts that may hold the mail from earlier attempts."""

    holder: Holder
    offered: tuple[str, ...] = ()
    lease_seconds: float = 0.0  # until another process's lease ends


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
        self.recipients = Recipients(aws, table)
        self.daily = DailyCounts(aws, table)
        self.habits = Habits(aws, table, shards)

    @classmethod
    def from_env(cls, aws: Aws) -> "Ledger":
        return cls(aws, os.environ["TABLE_NAME"], shards_of(os.environ["ENVIRONMENT"]))

    def claim(self, parcel: Parcel, address_key: str, token: str, now: float, offer: str = "") -> Claim:
        """Take the lease of a message; idempotent for the same `token`.

        `offer` is the account that is asked next: the row knows of it before a byte leaves, so that a crash after the
        request still counts as a possible copy. A parcel of a later attempt knows more than the row: its process had
        finished the attempt before, and may have crashed before recording that.
        """
        message, offers = parcel.message, [offer] if offer else []
        lease = {"claim": token, "lease": now + LEASE_SECONDS, "attempt": parcel.attempt, "batch": NOBODY}
        try:
            self._update(
                f"message#{message.id}",
                lease | {"offered": [*parcel.doubts, *offers]},
                if_absent=self._first(message, address_key, now),
                condition="attribute_not_exists(pk) OR (#status = :accepted AND "
                "(#claim = :claim OR #attempt < :attempt OR (#attempt = :attempt AND #claim = :nobody)))",
                values={":accepted": Status.ACCEPTED, ":nobody": NOBODY},
            )
        except AwsError as error:
            row = _old_item(error)
        else:
            return Claim(Holder.US, parcel.doubts)
        if row["status"] != Status.ACCEPTED or row["attempt"] > parcel.attempt:
            return Claim(Holder.NONE)
        if row.get("batch"):
            return Claim(Holder.BATCH)
        if row["lease"] >= now:
            return Claim(Holder.ANOTHER, lease_seconds=row["lease"] - now)
        # Its process died: each account that it may have asked counts.
        offered = tuple(row.get("offered", ()))
        try:
            self._update(
                f"message#{message.id}",
                lease | {"offered": [*offered, *offers]},
                condition="#status = :accepted AND (#claim = :claim OR (#claim = :dead AND #lease = :ended))",
                values={":accepted": Status.ACCEPTED, ":dead": row["claim"], ":ended": row["lease"]},
            )
        except AwsError as error:
            _old_item(error)
            return Claim(Holder.ANOTHER, lease_seconds=LEASE_SECONDS)
        return Claim(Holder.US, offered)

    def claim_for_batch(
        self, parcel: Parcel, address_key: str, batch: str, token: str, now: float, account: str
    ) -> bool:
        """Give a message that no process has worked on to a batch; False if it is not free, or is no longer."""
        message = parcel.message
        try:
            self._update(
                f"message#{message.id}",
                {
                    "claim": token,
                    "lease": now + LEASE_SECONDS,
                    "attempt": parcel.attempt,
                    "batch": batch,
                    "offered": [account],
                },
                if_absent=self._first(message, address_key, now),
                condition="attribute_not_exists(pk) OR (#status = :accepted AND #attempt = :attempt AND "
                "(#claim = :nobody OR (#claim = :claim AND #batch = :batch)))",
                values={":accepted": Status.ACCEPTED, ":nobody": NOBODY},
            )
        except AwsError as error:
            _old_item(error)
            return False
        return True

    def claim_again(self, message_id: str, batch: str, token: str, now: float) -> bool:
        """Take the lease of a message that its batch owns; False while another process has it."""
        try:
            self._update(
                f"message#{message_id}",
                {"claim": token, "lease": now + LEASE_SECONDS},
                condition="#status = :accepted AND #batch = :batch AND (#claim = :claim OR #lease < :now)",
                values={":accepted": Status.ACCEPTED, ":batch": batch, ":now": now},
            )
        except AwsError as error:
            _old_item(error)
            return False
        return True

    def decide(self, request: str, decision: str, now: float, *, instead_of: str = "") -> str:
        """Record a decision about a request of a batch, unless there is another one; return the one that counts."""
        try:
            self._update(
                f"request#{request}",
                {"decision": decision, "ttl": int(now + RETENTION_SECONDS)},
                condition="attribute_not_exists(pk) OR #decision IN (:decision, :instead_of)",
                values={":instead_of": instead_of},
            )
        except AwsError as refusal:
            return str(_old_item(refusal)["decision"])
        return decision

    def renew(self, message_id: str, token: str, offered: Sequence[str], now: float) -> bool:
        """Renew our lease, and record who may hold the mail after the next request; False if the lease is not ours."""
        try:
            self._update(
                f"message#{message_id}",
                {"lease": now + LEASE_SECONDS, "offered": list(offered)},
                condition="#claim = :claim AND #status = :accepted",
                values={":claim": token, ":accepted": Status.ACCEPTED},
            )
        except AwsError as error:
            _old_item(error)
            return False
        return True

    def admit(self, name: str, admission: Admission, until: float, now: float, *, instead_of: str = "") -> Admission:
        """Bind a request to a message; return the message of the first such request, which may be an earlier one."""
        try:
            self._update(
                f"asked#{name}",
                {
                    "message": admission.message_id,
                    "said": admission.request_hash,
                    "created": admission.created_at,
                    "ttl": int(until),
                },
                condition="attribute_not_exists(pk) OR #ttl < :now OR #message = :instead_of",
                values={":now": now, ":instead_of": instead_of},
            )
        except AwsError as refusal:
            row = _old_item(refusal)
            return Admission(row["message"], row["said"], row["created"])
        return admission

    def accept(self, message: Message, address_key: str, now: float) -> bool:
        """Write down a message before it is queued; False if some process has taken it up from its queue already."""
        first = self._first(message, address_key, now) | {"claim": NOBODY, "lease": 0, "attempt": 0}
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

    def undelivered_by(self, message_id: str) -> str:
        """Return the account that took a mail, or may have, and has not reported its delivery; empty for none."""
        key = {"pk": {"S": f"message#{message_id}"}}
        row = decode_item(self._aws.call("dynamodb", "GetItem", {"TableName": self._table, "Key": key}).get("Item", {}))
        if row.get("status") in (None, Status.SKIPPED, Status.DELIVERED, Status.COMPLAINED):
            return ""
        return str(row.get("provider") or next(reversed(row.get("offered", ())), ""))

    def read_many(self, message_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of up to a hundred messages by id; one that does not exist is left out."""
        rows = self._read_rows([f"message#{message_id}" for message_id in message_ids], is_consistent=True)
        return {pk.removeprefix("message#"): row for pk, row in rows.items()}

    def _read_rows(self, names: Collection[str], *, is_consistent: bool) -> dict[str, dict[str, Any]]:
        """Return up to a hundred rows by their keys, in as few requests as DynamoDB answers them."""
        keys = [{"pk": {"S": name}} for name in [*dict.fromkeys(names)][:KEYS_PER_READ]]
        rows: dict[str, dict[str, Any]] = {}
        if len(keys) == 1:  # by the call that each function may make
            query = {"TableName": self._table, "Key": keys[0], "ConsistentRead": is_consistent}
            item = self._aws.call("dynamodb", "GetItem", query).get("Item")
            return {item["pk"]["S"]: decode_item(item)} if item else {}
        while keys:
            query = {"RequestItems": {self._table: {"Keys": keys, "ConsistentRead": is_consistent}}}
            answer = self._aws.call("dynamodb", "BatchGetItem", query)
            for item in answer["Responses"].get(self._table, ()):
                rows[item["pk"]["S"]] = decode_item(item)
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if len(left) == len(keys):
                raise TemporaryFailure("dynamodb", "throttled")
            keys = left
        return rows

    def is_suppressed(self, message: Message, lane: Lane, address_key: str, now: float) -> bool:
        """Test whether the tenant sends nothing to this recipient on this lane: see feedback/suppression.py."""
        key = {"pk": {"S": _suppression_row(message, address_key)}}
        answer = self._aws.call("dynamodb", "GetItem", {"TableName": self._table, "Key": key})
        return _is_in_force(decode_item(answer.get("Item", {})), lane, now)

    def suppressed(self, parcels: Sequence[Parcel], address_key: str, now: float) -> set[str]:
        """Return the ids of those of up to a hundred messages whose recipients are suppressed, in one request."""
        names = [_suppression_row(parcel.message, address_key) for parcel in parcels]
        rows = self._read_rows(names, is_consistent=False)
        return {
            parcel.message.id
            for parcel, name in zip(parcels, names, strict=True)
            if _is_in_force(rows.get(name, {}), parcel.lane, now)
        }

    def superseded(self, messages: Sequence[Message], address_key: str) -> set[str]:
        """Return the ids of those of up to a hundred messages that newer codes have replaced, in one request."""
        rows_of = {
            message.id: recipient_row(message.tenant, message.to.lower(), address_key)
            for message in messages
            if message.identity and message.supersedes
        }
        rows = self._read_rows(rows_of.values(), is_consistent=True)
        return {
            message.id
            for message in messages
            if message.id in rows_of and is_superseded(rows.get(rows_of[message.id], {}), message)
        }

    def finish(
        self,
        message_id: str,
        token: str,
        outcome: Outcome,
        now: float,
        offered: Sequence[str] = (),
        *,
        domain_group: str = "",
    ) -> None:
        """Record the final outcome of a message; an event that its provider reported in the meantime stays.

        That a mail was sent is recorded even where another process has taken the lease since: it is a fact.
        `domain_group` is the tenant's own group of its recipient, for which reports about it count.
        """
        end = {"at": now, "status": outcome.status} | _without_empty(
            {"reason": outcome.reason, "id": outcome.provider_id}
        )
        pk, append = f"message#{message_id}", [*map(_entry, outcome.tries), end]
        facts = {"lease": 0, "ended": now, "offered": list(offered)} | _without_empty(
            {"provider": outcome.provider, "provider_id": outcome.provider_id, "domain_group": domain_group}
        )
        result = facts | {"status": outcome.status} | _without_empty({"reason": outcome.reason})
        accepted = {":accepted": Status.ACCEPTED}
        holds = "#claim = :claim AND #status = :accepted"
        try:
            self._update(pk, result, append=append, condition=holds, values={":claim": token, **accepted})
        except AwsError as error:
            row = _old_item(error)
        else:
            return
        if row and row["status"] == Status.ACCEPTED and outcome.status is Status.SENT:
            self._write_unless_changed(pk, result, append, "#status = :accepted", accepted)
        elif row and row.get("claim") == token and "ended" not in row:
            # The provider's report was quicker than this write, and knows more.
            self._write_unless_changed(
                pk, facts, append, "#claim = :claim AND attribute_not_exists(#ended)", {":claim": token}
            )

    def release(
        self,
        message_id: str,
        token: str,
        attempt: int,
        outcome: Outcome,
        offered: Sequence[str] = (),
        *,
        batch: str = NOBODY,
        keep_claim: bool = False,
    ) -> None:
        """Record attempts that brought no outcome, and end the lease: from now on a parcel of `attempt` may be claimed.

        With `keep_claim`, the message stays with its batch, whose request may have arrived. Where another process has
        taken the lease since, nothing is written: that process decides.
        """
        state: dict[str, Any] = {"lease": 0, "attempt": attempt, "offered": list(offered), "batch": batch}
        if not keep_claim:
            state["claim"] = NOBODY
        if outcome.tries and outcome.retry_in is not None:
            state["next_at"] = outcome.tries[-1].at + outcome.retry_in
        condition = "#claim = :token AND #status = :accepted"
        values = {":token": token, ":accepted": Status.ACCEPTED}
        self._write_unless_changed(f"message#{message_id}", state, list(map(_entry, outcome.tries)), condition, values)

    def waiting_for_delivery(self, message_id: str, token: str) -> Record | None:
        """Return the record of a mail that was sent under a claim; None if another process may have sent it, too."""
        key = {"pk": {"S": f"message#{message_id}"}}
        answer = self._aws.call("dynamodb", "GetItem", {"TableName": self._table, "Key": key, "ConsistentRead": True})
        row = decode_item(answer.get("Item", {}))
        is_only_copy = row and row.get("claim") == token and not row.get("rescued") and not _others(row)
        return Record.from_row(row) if is_only_copy else None

    def claim_rescue(self, message_id: str, token: str, rescue: str, account: str, status: Status) -> bool:
        """Record that one more account is about to get a mail that was sent under `token`; False if it must not.

        `rescue` names the process: it may ask several accounts, one after the other.
        """
        try:
            self._update(
                f"message#{message_id}",
                {"rescued": account, "rescue_claim": rescue, "offered": [account]},
                condition="#claim = :token AND #status = :status AND "
                "(attribute_not_exists(#rescued) OR #rescued = :nobody OR #rescue_claim = :rescue)",
                values={":token": token, ":status": status, ":nobody": NOBODY, ":rescue": rescue},
            )
        except AwsError as error:
            _old_item(error)
            return False
        return True

    def end_rescue(
        self,
        message_id: str,
        rescue: str,
        tries: Sequence[Attempt],
        offered: Sequence[str],
        *,
        is_open: bool = False,
        was_bounced: bool = False,
    ) -> None:
        """Record the attempts of a rescue, and the accounts that may have the mail; `is_open` if another may follow."""
        state: dict[str, Any] = {"offered": list(offered)} | ({"rescued": NOBODY} if is_open else {})
        pk, entries, values = f"message#{message_id}", list(map(_entry, tries)), {":rescue": rescue}
        holds = "#rescue_claim = :rescue"
        if was_bounced:  # the second copy may arrive
            try:
                sent, seen = state | {"status": Status.SENT}, values | {":bounced": Status.BOUNCED}
                self._update(pk, sent, append=entries, condition=f"{holds} AND #status = :bounced", values=seen)
            except AwsError as error:
                _old_item(error)
            else:
                return
        self._write_unless_changed(pk, state, entries, holds, values)

    def _write_unless_changed(
        self,
        pk: str,
        attributes: Mapping[str, Any],
        append: Sequence[Mapping[str, Any]],
        condition: str,
        values: Mapping[str, Any],
    ) -> None:
        try:
            self._update(pk, attributes, append=append, condition=condition, values=values)
        except AwsError as error:
            _old_item(error)

    def record(self, message_id: str, event: Event) -> tuple[EventEffect, Record | None]:
        """Record a provider's event on the row of its message, once; return the effect and the message's record.

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
        if event.type is EventType.BOUNCED:
            condition += " AND attribute_not_exists(#rescued)"
        for _ in range(MAX_WRITES):
            try:
                return EventEffect.NEW, Record.from_row(write(change, condition, values))
            except AwsError as refusal:
                row = _old_item(refusal)
            if not row:
                return EventEffect.UNKNOWN, None
            if event.dedup_key in row.get("events", ()):
                return EventEffect.REPEATED, Record.from_row(row)
            if not _may_report(event, row):
                return EventEffect.OTHER_ACCOUNT, Record.from_row(row)
            may_change = row["status"] in earlier or _arrives_after_all(event, row)
            if not may_change or _arrived_otherwise(event, row):
                change = {}
            if not change and len(row["timeline"]) >= MAX_TIMELINE_ENTRIES:
                return EventEffect.REPEATED, Record.from_row(row)
            condition, values = _unchanged(row, "status", "provider")
        raise TemporaryFailure("ledger", "contended")

    def mark_suppressed(self, message_id: str, event: Event) -> None:
        """Mark on a message's row that the recipient is suppressed for this event, so that a repeat does nothing."""
        add = {"suppressed_by": frozenset([event.dedup_key])}
        self._update(f"message#{message_id}", {}, add=add, condition="attribute_exists(pk)", values={})

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
        if not (name := clean_id(provider_id)):
            return ""
        query = {
            "TableName": self._table,
            "IndexName": "by_provider_id",
            "KeyConditionExpression": "provider_id = :id",
            "ExpressionAttributeValues": {":id": {"S": name}},
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
        if_absent: Mapping[str, Any] = {},
        append: Iterable[Mapping[str, Any]] = (),
        add: Mapping[str, Collection[str]] = {},
    ) -> dict[str, Any]:
        sets = [f"#{name} = :{name}" for name in attributes]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in if_absent]
        entries = list(append)
        all_values = {**{f":{name}": value for name, value in {**attributes, **if_absent, **add}.items()}, **values}
        names = {*attributes, *if_absent, *add, *PLACEHOLDER.findall(condition)}
        if entries:
            sets.append("#timeline = list_append(#timeline, :entries)")
            all_values[":entries"] = entries
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
                "ExpressionAttributeValues": {name: encode(value) for name, value in all_values.items()},
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
            "ttl": int(now + RETENTION_SECONDS),
            "shard": shard,
            # Where nearly all mail is the default tenant's, the index by time finds it, and a write is saved.
            **({} if message.tenant == DEFAULT_TENANT else {"tenant_shard": f"{message.tenant}#{shard}"}),
        } | ({"idempotency_key": message.idempotency_key} if message.idempotency_key else {})


def shards_of(environment: str) -> int:
    """Return over how many partitions what is looked up by time is spread: each takes 1,000 writes a second."""
    return 1 if environment == "development" else 16


def _suppression_row(message: Message, address_key: str) -> str:
    return suppression_of(message.tenant, keyed_hash(address_key, canonical(message.to)))


def _is_in_force(row: Mapping[str, Any], lane: Lane, now: float) -> bool:
    return float(row.get(f"{lane}_until", 0)) > now


def suppression_of(tenant: str, recipient: str) -> str:
    return f"suppressed#{tenant}#{recipient}"


def _unchanged(row: Mapping[str, Any], *names: str) -> tuple[str, dict[str, Any]]:
    """Return a condition, with its values, that a row still has the attributes that were read."""
    conditions = [f"#{name} = :seen_{name}" if name in row else f"attribute_not_exists(#{name})" for name in names]
    return " AND ".join(conditions), {f":seen_{name}": row[name] for name in names if name in row}


def _arrived_otherwise(event: Event, row: Mapping[str, Any]) -> bool:
    """Return whether one copy of a mail bounces while the other has been delivered."""
    return bool(row.get("rescued")) and event.type is EventType.BOUNCED and row["status"] == Status.DELIVERED


def _arrives_after_all(event: Event, row: Mapping[str, Any]) -> bool:
    """Return whether a mail is delivered after a soft bounce, or one copy of it after the other has bounced."""
    if event.type is not EventType.DELIVERED or row["status"] != Status.BOUNCED:
        return False
    bounces = [entry for entry in row["timeline"] if entry.get("event") == EventType.BOUNCED]
    return bool(row.get("rescued")) or all(entry.get("how") for entry in bounces)


def _may_report(event: Event, row: Mapping[str, Any]) -> bool:
    """Return whether the reporting account sent the mail, may hold it, or could have been given it."""
    tried = {entry["provider"] for entry in row["timeline"] if "answer" in entry}
    carriers = tried.union(row.get("offered", ()), filter(None, [row.get("provider")]))
    if any(event.can_be_about_mail_of(carrier) for carrier in carriers):
        return True
    return "provider" not in row and event.account_owner in ("", row["tenant"])


def _others(row: Mapping[str, Any]) -> bool:
    """Return whether an account other than the one that sent a mail may hold it."""
    return row["status"] != Status.ACCEPTED and bool(row.get("offered"))


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
