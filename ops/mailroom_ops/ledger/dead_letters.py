"""The dead-letter queues: what lies there, and what to do with it.

Everything is decided from the ledger first, which knows what a mail has come to since. A plan is made by looking, and
carried out on what is still there: what came later is left alone.
"""

import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mailroom.aws.dynamodb import encode
from mailroom.delivery.batches import Batch
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import mask
from mailroom.model.message import Parcel
from mailroom.model.outcome import Status
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.ledger.queries import LedgerQueries, Row

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from mailroom_ops.environment import Environment

__all__ = ["DeadLetters", "Letter", "Mail", "Verdict", "counted", "means"]

HELD = 120  # seconds that a letter is out of sight while it is looked at
SETTLED = (Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED, Status.SKIPPED)
HEAVIEST = 200_000  # bytes that leave in one request
NAME = re.compile(r"#\w+")


class Verdict(StrEnum):
    """What a replay would do with a letter."""

    READY = "ready"  # back to its lane: deliver decides, as with any mail, whether it still has to go
    SETTLED = "settled"  # taken away: it has its outcome
    EXPIRED = "expired"  # taken away, and the ledger says why
    DOUBTFUL = "doubtful"  # left, unless asked for: a provider may have it, so that the reader may get it twice
    UNREADABLE = "unreadable"  # left


MEANS = {
    Verdict.READY: "goes back to its lane",
    Verdict.SETTLED: "is taken away: it has its outcome",
    Verdict.EXPIRED: "is taken away: it is too late for it",
    Verdict.DOUBTFUL: "stays: its reader may have it already",
    Verdict.UNREADABLE: "stays: nobody can read it",
}


def means(verdict: Verdict, *, doubtful: bool = False) -> str:
    """Say what a replay does with such a letter; with `doubtful`, one that takes those along."""
    goes_all_the_same = doubtful and verdict is Verdict.DOUBTFUL
    return f"{MEANS[Verdict.READY]} all the same" if goes_all_the_same else MEANS[verdict]


def counted(number: int) -> str:
    """Say how many letters."""
    return f"{number:,} {'letter' if number == 1 else 'letters'}"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail in a letter, with nothing that only its reader may see."""

    id: str
    tenant: str
    kind: str
    to: str
    created_at: float
    expires_at: float
    attempt: int
    doubts: tuple[str, ...]
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter queue: a parcel, a crate of them, or something that nobody can read."""

    id: str
    lane: Lane
    verdict: Verdict
    mails: tuple[Mail, ...]
    waits_since: float
    size: int
    doubted: bool  # a provider may have taken it and never said so

    def given(self, more: float) -> "Letter":
        """Return it as a replay sees it that gives so many seconds more."""
        return replace(self, verdict=_verdict(self.mails, self.doubted, time.time() - more))


@dataclass(frozen=True, slots=True)
class _Found:
    id: str
    handle: str
    body: str
    sent_at: float
    parcels: tuple[Parcel, ...]
    doubted: bool


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """One lane's dead letters."""

    sqs: "SQSClient"
    queries: LedgerQueries
    lane: Lane
    url: str
    lane_url: str
    patience: int = 1  # seconds: without waiting, SQS asks only some of its servers, and may miss what is there

    @classmethod
    def of(cls, environment: "Environment", lane: Lane) -> "DeadLetters":
        name, outputs = lane.title(), environment.outputs
        urls = outputs[f"{name}DeadLetterQueueUrl"], outputs[f"{name}QueueUrl"]
        return cls(environment.client("sqs"), LedgerQueries.of(environment), lane, *urls)

    def look(self) -> Iterator[Letter]:
        """Look at every letter, and put it back."""
        for batch in self._receive():
            yield from self._judge(batch)

    def replay(self, letters: Iterable[Letter], *, doubtful: bool = False, extend: float = 0) -> Iterator[Letter]:
        """Do what the verdicts of a plan say, and yield each letter when that is done.

        With `extend`, what has expired gets so many seconds more: notices only, because a code is the auth server's.
        """
        if extend and self.lane is Lane.CODES:
            raise InvalidInput(
                "A code cannot be given more time.", "Only the auth server knows how long it is good for."
            )
        for batch in self._receive({letter.id for letter in letters}):
            judged = list(self._judge(batch, extend))
            found = dict(zip(judged, batch, strict=True))
            out = [found[letter] for letter in judged if _goes(letter.verdict, doubtful)]
            late = [found[letter] for letter in judged if letter.verdict is Verdict.EXPIRED]
            over = [found[letter] for letter in judged if letter.verdict is Verdict.SETTLED]
            for one in out:
                self._reopen(one)
            self._send([replace(one, body=_extended(one, time.time() + extend)) for one in out] if extend else out)
            for one in late:
                self._close(one, Status.SKIPPED, "expired")
            self._delete([*out, *late, *over])
            yield from judged

    def drop(self, letters: Iterable[Letter]) -> Iterator[Letter]:
        """Throw letters away, and yield each; a mail that has no outcome yet has failed then."""
        for batch in self._receive({letter.id for letter in letters}):
            judged = list(self._judge(batch))
            for one in batch:
                self._close(one, Status.FAILED, "dropped")
            self._delete(batch)
            yield from judged

    def _receive(self, wanted: Collection[str] | None = None) -> Iterator[list[_Found]]:
        """Take what is there, some at a time and each once. At the end, what was not deleted goes back."""
        handles: list[str] = []
        seen: set[str] = set()
        try:
            while wanted is None or not seen >= set(wanted):
                answer = self.sqs.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=HELD,
                    WaitTimeSeconds=self.patience,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
                found = [_read(message) for message in answer.get("Messages", [])]
                if not found:
                    return
                handles += [one.handle for one in found]
                fresh = [one for one in found if one.id not in seen and (wanted is None or one.id in wanted)]
                seen |= {one.id for one in found}
                if fresh:
                    yield fresh
        finally:
            self._put_back(handles)

    def _judge(self, batch: list[_Found], extend: float = 0) -> Iterator[Letter]:
        keys = [f"message#{parcel.message.id}" for found in batch for parcel in found.parcels]
        rows = {row["pk"].removeprefix("message#"): row for row in self.queries.rows(keys)}
        now = time.time()
        for found in batch:
            mails = tuple(_mail(parcel, rows.get(parcel.message.id, {})) for parcel in found.parcels)
            verdict = _verdict(mails, found.doubted, now - extend)
            yield Letter(found.id, self.lane, verdict, mails, found.sent_at, len(found.body), found.doubted)

    def _reopen(self, found: _Found) -> None:
        """Let mails that were given up be claimed again. Twice is once: who was sent meanwhile stays so."""
        for parcel in found.parcels:
            self._update(
                parcel,
                "SET #status = :accepted, #lease = :none, #timeline = list_append(#timeline, :entry) "
                "REMOVE #ended, #reason",
                {":accepted": Status.ACCEPTED, ":none": 0, ":entry": [{"at": time.time(), "status": "replayed"}]},
                {":failed": Status.FAILED, ":unknown": Status.UNKNOWN},
            )

    def _close(self, found: _Found, status: Status, reason: str) -> None:
        """Give mails that have no outcome one."""
        now = time.time()
        for parcel in found.parcels:
            self._update(
                parcel,
                "SET #status = :status, #reason = :reason, #ended = :now, #timeline = list_append(#timeline, :entry)",
                {
                    ":status": status,
                    ":reason": reason,
                    ":now": now,
                    ":entry": [{"at": now, "status": status, "reason": reason}],
                },
                {":accepted": Status.ACCEPTED},
            )

    def _update(self, parcel: Parcel, change: str, values: Mapping[str, Any], only: Mapping[str, str]) -> None:
        try:
            self.queries.dynamodb.update_item(
                TableName=self.queries.table,
                Key={"pk": {"S": f"message#{parcel.message.id}"}},
                UpdateExpression=change,
                ConditionExpression=f"#status IN ({', '.join(only)})",
                ExpressionAttributeNames={name: name[1:] for name in dict.fromkeys(NAME.findall(change))},
                ExpressionAttributeValues={name: encode(value) for name, value in {**values, **only}.items()},
            )
        except self.queries.dynamodb.exceptions.ConditionalCheckFailedException:
            pass

    def _send(self, letters: list[_Found]) -> None:
        for batch in _light(letters):
            entries = [{"Id": str(number), "MessageBody": found.body} for number, found in enumerate(batch)]
            answer = self.sqs.send_message_batch(QueueUrl=self.lane_url, Entries=entries)  # type: ignore[arg-type]
            _all_done(answer)

    def _delete(self, letters: list[_Found]) -> None:
        if letters:
            entries = [{"Id": str(number), "ReceiptHandle": found.handle} for number, found in enumerate(letters)]
            _all_done(self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries))  # type: ignore[arg-type]

    def _put_back(self, handles: list[str]) -> None:
        for start in range(0, len(handles), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles[start : start + 10])
            ]
            # What was deleted is refused, and is gone either way.
            self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]


def _read(message: Any) -> _Found:
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    try:
        crate = Batch.from_json(message["Body"])
        parcels = crate.parcels if crate else (Parcel.from_json(message["Body"]),)
        doubted = crate.doubted if crate else bool(parcels[0].doubts)
    except (ValueError, KeyError, TypeError, AttributeError):
        parcels, doubted = (), False
    return _Found(message["MessageId"], message["ReceiptHandle"], message["Body"], sent, parcels, doubted)


def _mail(parcel: Parcel, row: Row) -> Mail:
    message = parcel.message
    return Mail(
        id=message.id,
        tenant=message.tenant,
        kind=message.kind,
        to=mask(message.to),
        created_at=message.created_at,
        expires_at=message.expires_at,
        attempt=parcel.attempt,
        doubts=parcel.doubts,
        status=row.get("status", ""),
        reason=row.get("reason", ""),
    )


def _verdict(mails: tuple[Mail, ...], doubted: bool, expired_before: float) -> Verdict:
    open_ = [mail for mail in mails if mail.status not in SETTLED]
    if not mails:
        return Verdict.UNREADABLE
    if not open_:
        return Verdict.SETTLED
    if all(mail.status and mail.expires_at <= expired_before for mail in open_):
        return Verdict.EXPIRED  # one that the ledger has never heard of goes to its lane, to be written down
    if doubted or any(mail.status == Status.UNKNOWN for mail in open_):
        return Verdict.DOUBTFUL
    return Verdict.READY


def _goes(verdict: Verdict, doubtful: bool) -> bool:
    return verdict is Verdict.READY or (doubtful and verdict is Verdict.DOUBTFUL)


def _extended(found: _Found, until: float) -> str:
    """Return the letter with more time for each mail in it."""
    values = json.loads(found.body)
    for parcel in values.get("parcels", [values]):
        parcel["message"]["expires_at"] = max(parcel["message"]["expires_at"], until)
    return json.dumps(values, separators=(",", ":"))


def _light(letters: list[_Found]) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    for found in letters:
        if batch and sum(len(one.body) for one in (*batch, found)) > HEAVIEST:
            yield batch
            batch = []
        batch.append(found)
    if batch:
        yield batch


def _all_done(answer: Any) -> None:
    if failed := answer.get("Failed"):
        raise ServiceError(
            f"SQS refused {len(failed)} of a batch: {failed[0].get('Code')}.", "Run this again: what is done stays so."
        )
