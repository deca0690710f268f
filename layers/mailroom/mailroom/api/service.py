"""The door of `send`: a request becomes one message, however often it is made, and its caller hears what came of it."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mailroom.api.keys import Caller
from mailroom.aws.client import Aws
from mailroom.delivery.deliver import Delivery
from mailroom.delivery.dispatch import LONGEST_TRY
from mailroom.errors import ClaimedElsewhere, ConfigurationError, DeliveryError, InvalidRequest, RequestError
from mailroom.ledger.table import SAME_WITHIN, Admission, keyed_hash
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom.providers import is_configured
from mailroom.sources import direct
from mailroom.sources.direct import SendRequest

__all__ = ["Reply", "SendService"]

KEY_KEPT = 24 * 3600.0
TO_RECORD = 2.0  # seconds that queueing a message, or writing down its outcome, may take
ID = re.compile(r"[0-9a-f]{32}")
HTTP: Mapping[str, int] = {
    Status.ACCEPTED: 202,
    Status.SENT: 200,
    Status.SKIPPED: 200,
    Status.FAILED: 502,  # we are the gateway, and the provider did not take it
    Status.UNKNOWN: 504,  # ... or never said
}
LATER = (Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED)  # what a provider tells of a mail that was sent
SUPPRESSED = "suppressed"  # a caller would pass on that somebody's mailbox bounced: only a look-up reveals it
FIELDS = frozenset(SendRequest.model_fields) | {"authorization", "body", "id", "idempotency-key", "messages"}
TOLD = ("status", "event", "reason", "provider", "answer", "detail")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller hears, with its HTTP status; and for the log, how it came to that."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    message: Message | None = None
    outcome: Outcome | None = None
    error: Exception | None = None
    parts: tuple["Reply", ...] = ()
    started: float = 0.0

    @classmethod
    def refusal(cls, refused: RequestError, headers: Mapping[str, str] = {}) -> "Reply":
        problems = refused.problems if isinstance(refused, InvalidRequest) else (("body", refused.sentence),)
        errors = [{"field": name, "message": sentence} for name, sentence in problems]
        if refused.status == 401:
            headers = {"www-authenticate": "Bearer"}
        return cls(refused.status, {"status": "refused", "errors": errors}, headers, error=refused)

    @classmethod
    def closed(cls, error: Exception) -> "Reply":
        status = 503 if isinstance(error, DeliveryError) else 500
        refused = RequestError(status, "Nothing was taken: Mailroom cannot work at the moment. Please try again.")
        return replace(cls.refusal(refused, {"retry-after": "5"}), error=error)

    @property
    def fields(self) -> list[str]:
        """Return which fields were at fault, for a log: a name nobody knows may be anything, a code too."""
        names = {error["field"].partition(".")[0] for error in self.body["errors"]}
        return sorted(name if name in FIELDS else "unknown" for name in names)

    @classmethod
    def of(cls, message: Message, status: str, reason: str = "", provider: str = "", provider_id: str = "") -> "Reply":
        said = {"reason": reason, "provider": provider, "provider_id": provider_id}
        body = {"message_id": message.id, "status": status} | {name: value for name, value in said.items() if value}
        return cls(HTTP[status], body)


@dataclass(slots=True)
class SendService:
    """Everything one process needs to answer, kept warm between requests."""

    delivery: Delivery
    code_lifetime: float
    clock: Callable[[], float] = time.time

    @classmethod
    def from_env(cls, aws: Aws) -> "SendService":
        return cls(Delivery.from_env(aws), float(os.environ["CODE_LIFETIME_MINUTES"]) * 60)

    def take(self, body: Any, caller: Caller, deadline: float) -> Reply:
        """Do what one request asks for, now or by queue."""
        return self._take(body, caller, lambda request, message: self._send(request, message, deadline, last=True))

    def take_batch(self, body: Any, caller: Caller, deadline: float) -> Reply:
        """Do what each request asks for. Nobody waits for a single one: what does not go at once goes by queue."""

        def send(request: SendRequest, message: Message) -> Reply:
            if self.clock() + LONGEST_TRY + TO_RECORD > deadline:
                return self._queue(request, message)
            return self._send(request, message, deadline, last=False)

        def take(part: Any) -> Reply:
            if self.clock() + TO_RECORD > deadline:
                return Reply.refusal(
                    RequestError(503, "Nothing was taken: no time was left for this one. Send it again.")
                )
            return self._take(part, caller, send)

        try:
            parts = tuple(map(take, direct.parts_of(body)))
        except RequestError as refused:
            return Reply.refusal(refused)
        return Reply(200, {"results": [part.body for part in parts]}, parts=parts)

    def look_up(self, message_id: str, caller: Caller) -> Reply:
        """Tell what has become of a message."""
        row = self.delivery.ledger.read(message_id) if ID.fullmatch(message_id) else None
        if row is None or not caller.may(row["tenant"], row["kind"]):
            return Reply.refusal(InvalidRequest(404, ("id", "There is no such email.")))
        known = {
            name: row[name]
            for name in ("tenant", "kind", "to", "status", "reason", "provider", "provider_id")
            if row.get(name)
        }
        timeline = [
            {"at": _moment(entry["at"])} | {name: entry[name] for name in TOLD if entry.get(name)}
            for entry in row["timeline"]
        ]
        return Reply(
            200, {"message_id": message_id, **known, "created_at": _moment(row["created"]), "timeline": timeline}
        )

    def _take(self, body: Any, caller: Caller, act: Callable[[SendRequest, Message], Reply]) -> Reply:
        started, message = self.clock(), None
        try:
            request = direct.parse(body)
            caller.require(request.whose, request.kind)
            message = self._admit(request)
            reply = self._queue(request, message) if request.mode == "queued" else act(request, message)
        except RequestError as refused:
            reply = Reply.refusal(refused)
        except Exception as error:  # noqa: BLE001 - whatever breaks, its caller hears of it, and the rest of a batch goes on
            reply = self._interrupted(message, error) if message else Reply.closed(error)
        return replace(reply, message=message, started=started)

    def _admit(self, request: SendRequest) -> Message:
        """Return the message this request is about: a new one, or the one it became when it was made before."""
        now = self.clock()
        message = request.to_message(new_id(), now, self.code_lifetime)
        self.delivery.settings.prefetch(message.tenant, message.purpose)
        key = self.delivery.settings.address_key()
        name, wanted = keyed_hash(key, request.name), Admission(message.id, keyed_hash(key, request.said), now)
        until = now + (KEY_KEPT if request.idempotency_key else SAME_WITHIN)
        held = self.delivery.ledger.admit(name, wanted, until, now)
        if request.idempotency_key:
            if held.said != wanted.said:
                raise InvalidRequest(
                    409, ("idempotency_key", "This key stands for another mail of the last 24 hours: use a new one.")
                )
        elif held != wanted:
            row = self.delivery.ledger.read(held.message_id)
            if row and row["status"] in (Status.FAILED, Status.SKIPPED) and row.get("reason") != SUPPRESSED:
                held = self.delivery.ledger.admit(name, wanted, until, now, instead_of=held.message_id)
        return request.to_message(held.message_id, held.created_at, self.code_lifetime)

    def _send(self, request: SendRequest, message: Message, deadline: float, *, last: bool) -> Reply:
        try:
            outcome = self.delivery.deliver(Parcel.of(message), deadline, last=last)
        except ClaimedElsewhere:
            problem = ("idempotency_key", "This mail is being sent at this moment: ask again in a second.")
            return Reply.refusal(InvalidRequest(409, problem), {"retry-after": "1"})
        if outcome is None:
            return self._again(request, message)
        if outcome.reason == SUPPRESSED:
            reply = self._as_if_sent(message)
        else:
            reply = Reply.of(message, outcome.status, outcome.reason, outcome.provider, outcome.provider_id)
        return replace(reply, outcome=outcome)

    def _queue(self, request: SendRequest, message: Message) -> Reply:
        if not self.delivery.ledger.accept(message, self.delivery.settings.address_key(), self.clock()):
            return self._again(request, message)
        self.delivery.queue.put(Parcel.of(message))
        return Reply.of(message, Status.ACCEPTED)

    def _again(self, request: SendRequest, message: Message) -> Reply:
        """Answer a request that was made before as it was answered then."""
        row = self.delivery.ledger.read(message.id) or {"status": Status.UNKNOWN}
        is_suppressed = row.get("reason") == SUPPRESSED
        status = Status.SENT if is_suppressed or row["status"] in LATER else Status(row["status"])
        if not request.idempotency_key and status in (Status.SENT, Status.ACCEPTED):
            return Reply.of(message, Status.SKIPPED, "duplicate")
        if request.mode == "queued" or status is Status.ACCEPTED:
            return Reply.of(message, Status.ACCEPTED)
        if is_suppressed:
            return self._as_if_sent(message)
        reason = "" if status is Status.SENT else row.get("reason", "")
        return Reply.of(message, status, reason, row.get("provider", ""), row.get("provider_id", ""))

    def _as_if_sent(self, message: Message) -> Reply:
        """Return the answer that the message would get if its recipient were not suppressed and the provider took it.

        The provider's id is made from the message's, so that a repeated request gets the same answer.
        """
        settings = self.delivery.settings
        try:
            chain = settings.sender(message.tenant, message.purpose).providers
            account = next((name for name in chain if is_configured(name, settings.provider(name))), "")
        except ConfigurationError as error:
            return Reply.of(message, Status.FAILED, error.code)
        if not account:
            return Reply.of(message, Status.SKIPPED, "email_not_configured")
        parts = (message.id[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        return Reply.of(message, Status.SENT, "", account, "-".join(parts))

    def _interrupted(self, message: Message, error: Exception) -> Reply:
        """Say that it stopped on the way, where nobody can tell on which side of the provider."""
        reason, status = ("unavailable", 503) if isinstance(error, DeliveryError) else ("crashed", 500)
        return Reply(
            status,
            {"message_id": message.id, "status": Status.UNKNOWN, "reason": reason},
            {"retry-after": "5"},
            error=error,
        )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
