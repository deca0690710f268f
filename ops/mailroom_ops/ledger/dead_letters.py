"""The dead-letter queues of the two lanes: list, replay and drop messages.

Each verdict comes from the ledger, which has recorded the status of every mail since. A plan is made first, and carried
out on the dead letters that are still there; later ones are left alone.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mailroom.aws.dynamodb import decode_item, encode
from mailroom.delivery.batch import MAX_CHARACTERS, Batch
from mailroom.ledger.table import NOBODY
from mailroom.ledger.tally import EVERYONE, RETENTION_SECONDS, hour_of, outcome_counter
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import mask
from mailroom.model.message import Parcel
from mailroom.model.outcome import Status
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.dead_letter_queue import DeadLetterQueue, ReceivedMessage, send
from mailroom_ops.ledger.queries import LedgerQueries, Row

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from mailroom_ops.environment import Environment

__all__ = [
    "DeadLetter",
    "DeadLetters",
    "MailSummary",
    "Verdict",
    "count_letters",
    "replay_effect",
]

FINAL = (Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED, Status.SKIPPED)
PLACEHOLDER = re.compile(r"#\w+")
NOT_OFFERED = "(attribute_not_exists(#offered) OR size(#offered) = :zero)"


class Verdict(StrEnum):
    """The effect that a replay has on a dead letter."""

    READY = "ready"  # queued again: as with any mail, deliver decides whether it still has to be sent
    SETTLED = "settled"  # deleted: every mail has its final status
    EXPIRED = "expired"  # deleted, and recorded in the ledger
    DOUBTFUL = "doubtful"  # kept, unless requested: a provider may hold the mail, and a replay may send it twice
    UNREADABLE = "unreadable"  # kept


EFFECTS = {
    Verdict.READY: "queued again",
    Verdict.SETTLED: "deleted: it has its final status",
    Verdict.EXPIRED: "deleted: it has expired",
    Verdict.DOUBTFUL: "kept: the recipient may have it already",
    Verdict.UNREADABLE: "kept: it cannot be read",
}


def replay_effect(verdict: Verdict, *, doubtful: bool = False) -> str:
    """Return the effect of a replay in words; with `doubtful`, of one that includes doubtful mail."""
    is_included = doubtful and verdict is Verdict.DOUBTFUL
    return f"{EFFECTS[Verdict.READY]}, although the recipient may have it already" if is_included else EFFECTS[verdict]


def count_letters(number: int) -> str:
    return f"{number:,} {'letter' if number == 1 else 'letters'}"


@dataclass(frozen=True, slots=True)
class MailSummary:
    """One mail in a dead letter, without its content, its address masked."""

    id: str
    tenant: str
    kind: str
    to: str
    created_at: float
    expires_at: float
    attempt: int
    doubts: tuple[str, ...]  # accounts that may hold the mail, by its parcel
    offered: tuple[str, ...]  # accounts that may hold the mail, by the ledger
    status: str
    reason: str
    unrecorded: str  # the final status that its parcel carries, because it could not be recorded
    delivery: str  # all of this in words

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_doubtful(self) -> bool:
        """Whether sending it may be sending it twice. A replay of a mail that is only to be recorded sends nothing."""
        return not self.unrecorded and bool(self.doubts or self.offered or self.status == Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter queue: a parcel, a batch of them, or content that cannot be read."""

    id: str
    lane: str
    verdict: Verdict
    mails: tuple[MailSummary, ...]
    waits_since: float
    size: int
    doubted: bool  # a provider may hold a mail of it without having confirmed it

    @property
    def delivery(self) -> str:
        """The delivery status of its mails in words: `never sent`, or `3 sent, 1 never sent`."""
        counts = Counter(mail.delivery for mail in self.mails)
        if len(self.mails) == 1:
            return self.mails[0].delivery
        return ", ".join(f"{number} {delivery}" for delivery, number in counts.items())

    def with_extension(self, seconds: float) -> "DeadLetter":
        """Return it with the verdict of a replay that extends its lifetime."""
        return replace(self, verdict=_verdict(self.mails, self.doubted, time.time() - seconds))


@dataclass(frozen=True, slots=True)
class _Received(ReceivedMessage):
    parcels: tuple[Parcel, ...]
    doubted: bool
    is_batch: bool

    @property
    def group(self) -> dict[str, str]:
        """The group of a fair queue, so that a large replay of one tenant does not delay the others."""
        tenants = {parcel.tenant for parcel in self.parcels}
        return {"MessageGroupId": tenants.pop()} if len(tenants) == 1 else {}


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead-letter queue of one lane."""

    sqs: "SQSClient"
    queries: LedgerQueries
    lane: Lane
    url: str
    lane_url: str
    wait_seconds: int = 1  # with none, SQS asks only some of its servers and may miss messages

    @classmethod
    def of(cls, environment: "Environment", lane: Lane) -> "DeadLetters":
        name, outputs = lane.title(), environment.outputs
        urls = outputs[f"{name}DeadLetterQueueUrl"], outputs[f"{name}QueueUrl"]
        return cls(environment.client("sqs"), LedgerQueries.of(environment), lane, *urls)

    def read(self) -> Iterator[DeadLetter]:
        """Yield every dead letter, and leave it on the queue."""
        for batch in self._receive():
            yield from self._judge(batch)

    def replay(
        self, letters: Iterable[DeadLetter], *, doubtful: bool = False, extend: float = 0
    ) -> Iterator[DeadLetter]:
        """Carry out the verdicts on the dead letters of a plan, and yield each that is done.

        With `extend`, expired notices get so many seconds more; codes do not, because the auth server expires them.
        """
        if extend and self.lane is Lane.CODES:
            raise InvalidInput("The lifetime of a code cannot be extended.", "The auth server alone knows it.")
        for batch in self._receive({letter.id for letter in letters}):
            judged = list(zip(self._judge(batch, extend), batch, strict=True))
            queued = [received for letter, received in judged if _is_queued(letter.verdict, doubtful)]
            expired = [(letter, received) for letter, received in judged if letter.verdict is Verdict.EXPIRED]
            settled = [received for letter, received in judged if letter.verdict is Verdict.SETTLED]
            for received in queued:
                self._reopen(received)
            until = time.time() + extend
            self._send(
                [replace(received, body=_extended(received, until)) for received in queued] if extend else queued
            )
            for letter, received in expired:
                self._close(letter, received, Status.SKIPPED, "expired")
            self._delete([*queued, *(received for _, received in expired), *settled])
            yield from (letter for letter, _ in judged)

    def drop(self, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Delete dead letters, and yield each; a mail without a final status is recorded as failed, or unknown."""
        for batch in self._receive({letter.id for letter in letters}):
            judged = list(self._judge(batch))
            for letter, received in zip(judged, batch, strict=True):
                self._close(letter, received, Status.FAILED, "dropped")
            self._delete(batch)
            yield from judged

    @property
    def _queue(self) -> DeadLetterQueue:
        return DeadLetterQueue(self.sqs, self.url, self.wait_seconds)

    def _receive(self, ids: Collection[str] | None = None) -> Iterator[list[_Received]]:
        return ([_read(message) for message in group] for group in self._queue.receive(ids))

    def _judge(self, batch: list[_Received], extend: float = 0) -> Iterator[DeadLetter]:
        keys = [f"message#{parcel.message.id}" for received in batch for parcel in received.parcels]
        rows = {row["pk"].removeprefix("message#"): row for row in self.queries.rows(keys)}
        now = time.time()
        for received in batch:
            mails = tuple(_summarize(parcel, rows.get(parcel.message.id, {})) for parcel in received.parcels)
            doubted = received.doubted or any(mail.is_doubtful for mail in mails if not mail.is_final)
            verdict = _verdict(mails, doubted, now - extend)
            yield DeadLetter(received.id, self.lane, verdict, mails, received.sent_at, len(received.body), doubted)

    def _reopen(self, received: _Received) -> None:
        """Make mails that have failed claimable again; idempotent, and without effect on a mail that was sent since."""
        change = "SET #status = :accepted, #lease = :zero, #timeline = list_append(#timeline, :entry)"
        entry = {"at": time.time(), "status": "replayed"}
        values: dict[str, Any] = {":accepted": Status.ACCEPTED, ":zero": 0, ":entry": [entry]}
        if received.is_batch:  # a batch sends only mails that are as new
            change += ", #attempt = :zero, #claim = :nobody, #batch = :nobody"
            values[":nobody"] = NOBODY
        reopened = [
            row
            for parcel in received.parcels
            if (
                row := self._update(parcel, f"{change} REMOVE #ended, #reason", values, (Status.FAILED, Status.UNKNOWN))
            )
        ]
        self._uncount(reopened)

    def _uncount(self, rows: Iterable[Row]) -> None:
        """Take mails that have an outcome no more out of the counters of its hour, so that none counts twice."""
        numbers: dict[tuple[str, str], Counter[str]] = {}
        for row in rows:
            accounts = [entry["provider"] for entry in row["timeline"] if "answer" in entry]
            provider = row.get("provider") or (accounts[-1] if accounts else "")
            name = "/".join(outcome_counter(row["status"], provider, row.get("reason", "")))
            for scope in (row["tenant"], EVERYONE):
                numbers.setdefault((scope, hour_of(row.get("ended", 0))), Counter())[name] -= 1
        for (scope, hour), counters in numbers.items():
            self.queries.dynamodb.update_item(
                TableName=self.queries.table,
                Key={"pk": {"S": f"tally#{scope}#{hour}#0"}},
                UpdateExpression=f"SET #ttl = :ttl ADD {', '.join(f'#{n} :{n}' for n in range(len(counters)))}",
                ExpressionAttributeNames={"#ttl": "ttl", **{f"#{n}": name for n, name in enumerate(counters)}},
                ExpressionAttributeValues={
                    ":ttl": encode(int(time.time() + RETENTION_SECONDS)),
                    **{f":{n}": encode(number) for n, number in enumerate(counters.values())},
                },
            )

    def _close(self, letter: DeadLetter, received: _Received, status: Status, reason: str) -> None:
        """Record the final status of mails that have none: `unknown` where a provider may hold the mail."""
        for parcel, mail in zip(received.parcels, letter.mails, strict=True):
            is_doubtful = received.doubted or mail.is_doubtful or mail.unrecorded
            # Another copy of the parcel may have been offered to a provider since the row was read.
            if is_doubtful or not self._end(parcel, status, reason, f" AND {NOT_OFFERED}", {":zero": 0}):
                self._end(parcel, Status.UNKNOWN, reason)

    def _end(
        self, parcel: Parcel, status: Status, reason: str, condition: str = "", values: Mapping[str, Any] = {}
    ) -> bool:
        now = time.time()
        row = self._update(
            parcel,
            "SET #status = :status, #reason = :reason, #ended = :now, #timeline = list_append(#timeline, :entry)",
            {
                ":status": status,
                ":reason": reason,
                ":now": now,
                ":entry": [{"at": now, "status": status, "reason": reason}],
                **values,
            },
            (Status.ACCEPTED,),
            condition,
        )
        return bool(row)

    def _update(
        self,
        parcel: Parcel,
        change: str,
        values: Mapping[str, Any],
        from_statuses: Sequence[Status],
        condition: str = "",
    ) -> Row:
        """Change the row of a mail; return it as it was, empty where its status or the condition does not allow it."""
        statuses = {f":from_{status}": status for status in from_statuses}
        names = dict.fromkeys(PLACEHOLDER.findall(f"{change} {condition} #status"))
        try:
            answer = self.queries.dynamodb.update_item(
                TableName=self.queries.table,
                Key={"pk": {"S": f"message#{parcel.message.id}"}},
                UpdateExpression=change,
                ConditionExpression=f"#status IN ({', '.join(statuses)}){condition}",
                ExpressionAttributeNames={name: name[1:] for name in names},
                ExpressionAttributeValues={name: encode(value) for name, value in {**values, **statuses}.items()},
                ReturnValues="ALL_OLD",
            )
        except self.queries.dynamodb.exceptions.ConditionalCheckFailedException:
            return {}
        return decode_item(answer["Attributes"])

    def _send(self, messages: list[_Received]) -> None:
        for batch in _split(messages):
            send(self.sqs, self.lane_url, [{"MessageBody": message.body, **message.group} for message in batch])

    def _delete(self, messages: list[_Received]) -> None:
        self._queue.delete([message.handle for message in messages])


def _read(message: ReceivedMessage) -> _Received:
    batch = None
    try:
        batch = Batch.from_json(message.body)
        parcels = batch.parcels if batch else (Parcel.from_json(message.body),)
        doubted = bool(json.loads(message.body).get("doubted"))  # batches of the form before 2026-12
    except (ValueError, KeyError, TypeError, AttributeError):
        parcels, doubted = (), False
    return _Received(
        message.id, message.handle, message.body, message.sent_at, parcels, doubted, is_batch=batch is not None
    )


def _summarize(parcel: Parcel, row: Row) -> MailSummary:
    message = parcel.message
    status, reason = row.get("status", ""), row.get("reason", "")
    offered = tuple(sorted(row.get("offered", ())))
    unrecorded = str(parcel.settled.status) if parcel.settled else ""
    may_hold = tuple(dict.fromkeys((*parcel.doubts, *offered)))
    return MailSummary(
        id=message.id,
        tenant=message.tenant,
        kind=message.kind,
        to=mask(message.to),
        created_at=message.created_at,
        expires_at=message.expires_at,
        attempt=parcel.attempt,
        doubts=parcel.doubts,
        offered=offered,
        status=status,
        reason=reason,
        unrecorded=unrecorded,
        delivery=_delivery(status, reason, unrecorded, may_hold),
    )


def _delivery(status: str, reason: str, unrecorded: str, may_hold: Sequence[str]) -> str:
    if status in FINAL:
        return f"{status} ({reason})" if reason else status
    if unrecorded:
        return f"{unrecorded}, not recorded in the ledger"
    possibly = f"may have been sent by {', '.join(may_hold)}" if may_hold else ""
    if not status:
        return possibly or "never sent, not in the ledger"
    if status == Status.ACCEPTED:
        return possibly or "never sent"
    return ", ".join(filter(None, (f"{status} ({reason})" if reason else status, possibly)))


def _verdict(mails: Sequence[MailSummary], doubted: bool, expired_before: float) -> Verdict:
    unfinished = [mail for mail in mails if not mail.is_final]
    if not mails:
        return Verdict.UNREADABLE
    if not unfinished:
        return Verdict.SETTLED
    # A mail without a row, or with an unrecorded status, is queued again so that deliver records it.
    if all(mail.status and not mail.unrecorded and mail.expires_at <= expired_before for mail in unfinished):
        return Verdict.EXPIRED
    if doubted or any(mail.is_doubtful for mail in unfinished):
        return Verdict.DOUBTFUL
    return Verdict.READY


def _is_queued(verdict: Verdict, doubtful: bool) -> bool:
    return verdict is Verdict.READY or (doubtful and verdict is Verdict.DOUBTFUL)


def _extended(message: _Received, until: float) -> str:
    """Return the body with a later expiry of each mail in it."""
    values = json.loads(message.body)
    for parcel in values.get("parcels", [values]):
        parcel["message"]["expires_at"] = max(parcel["message"]["expires_at"], until)
        parcel["message"].pop("has_default_lifetime", None)  # the operator has decided
    return json.dumps(values, separators=(",", ":"))


def _split(messages: Iterable[_Received]) -> Iterator[list[_Received]]:
    """Split messages into groups that fit into one request."""
    batch: list[_Received] = []
    for message in messages:
        if batch and sum(len(packed.body) for packed in (*batch, message)) > MAX_CHARACTERS:
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch
