"""The send service: a request becomes one message, however often it is repeated, and gets the message's status."""

import os
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mailroom.api.keys import Caller
from mailroom.api.pace import Pace
from mailroom.api.reply import Reply
from mailroom.aws.client import Aws
from mailroom.delivery.deliver import Delivery
from mailroom.delivery.dispatch import MAX_REQUEST_SECONDS
from mailroom.errors import ConfigurationError, InvalidRequest, RequestError
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Admission
from mailroom.model.kinds import NAME, purpose_of
from mailroom.model.message import SAME_WITHIN_SECONDS, Message, Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom.model.timeline import causal_timeline
from mailroom.providers import is_configured
from mailroom.sources import direct
from mailroom.sources.send_request import SendRequest

__all__ = ["SendService"]

KEY_LIFETIME_SECONDS = 24 * 3600.0
RECORD_SECONDS = 2.0  # to enqueue a message, or to record its outcome
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
REPORTED = (Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED)  # later, by the provider: to a caller it was sent
# A caller would pass on that somebody's mailbox bounced, or who exists: only a look-up reveals these reasons.
CONCEALED = ("suppressed", "rate_limited")
LOOK_UP_FIELDS = ("tenant", "kind", "to", "status", "reason", "provider", "provider_id")
TIMELINE_FIELDS = ("status", "event", "reason", "provider", "answer", "detail")


@dataclass(slots=True)
class SendService:
    """The dependencies of the handlers, kept between the requests of a process."""

    delivery: Delivery
    code_lifetime: float
    clock: Callable[[], float] = time.time
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def from_env(cls, aws: Aws) -> "SendService":
        return cls(Delivery.from_env(aws), float(os.environ["CODE_LIFETIME_MINUTES"]) * 60)

    def send(self, body: Any, caller: Caller, deadline: float, *, inline: bool = True) -> Reply:
        """Send one message; return its status, or the reply to what went wrong.

        With `inline`, a failed attempt is repeated until the deadline; without, a later one goes by queue.
        """
        started, message = self.clock(), None
        try:
            request = direct.parse(body, lambda tenant, kind: self._own_kinds(tenant, kind, caller))
            caller.require(request.tenant_name, request.kind)
            self._require_time(deadline)
            self._require_tenant(request)
            message = self._admit(request)
            if request.mode == "queued" or self._lacks_time(deadline):
                outcome = self._enqueue(message)
            else:
                outcome = self.delivery.deliver(Parcel.of(message), deadline, inline=inline)
            reply = self._reply(message, outcome) if outcome else self._replay(request, message)
            if outcome:
                self._keep_pace(outcome, reply, started, deadline)
        except Exception as error:  # noqa: BLE001 - the caller gets a reply, and the rest of a batch goes on
            reply = Reply.of_error(error, message)
        return replace(reply, message=message, started=started)

    def send_batch(self, body: Any, caller: Caller, deadline: float) -> Reply:
        """Send each message of a batch; return the replies in its order."""
        parts = tuple(self.send(part, caller, deadline, inline=False) for part in direct.messages_of(body))
        return Reply(200, {"results": [part.body for part in parts]}, parts=parts)

    def look_up(self, message_id: str, caller: Caller) -> Reply:
        """Return the status and timeline of a message."""
        record = self.delivery.ledger.read(message_id) if MESSAGE_ID.fullmatch(message_id) else None
        if record is None or not caller.may_send(record.tenant, record.kind):
            raise InvalidRequest(404, ("id", "There is no such email."))
        facts = {name: value for name in LOOK_UP_FIELDS if (value := getattr(record, name))}
        timeline = [
            {"at": _iso(entry.at)} | {name: value for name in TIMELINE_FIELDS if (value := getattr(entry, name))}
            for entry in causal_timeline(record)
        ]
        times = {"created_at": _iso(record.created_at), "timeline": timeline}
        return Reply(200, {"message_id": record.message_id} | facts | times)

    def _require_time(self, deadline: float) -> None:
        if self.clock() + RECORD_SECONDS > deadline:
            raise RequestError(503, "Nothing was accepted: no time was left for this message. Send it again.")

    def _own_kinds(self, tenant: str, kind: str, caller: Caller) -> Collection[str]:
        """Return the kinds of a tenant's own templates; none of a tenant that the caller may not send for."""
        if not (NAME.fullmatch(tenant) and caller.may_use(tenant)):
            return ()
        settings = self.delivery.settings
        settings.prefetch(tenant, purpose_of(kind))
        return self.delivery.renderer.own_kinds(tenant, settings.templates(tenant))

    def _require_tenant(self, request: SendRequest) -> None:
        """Raise an InvalidRequest if nothing is set for the tenant: its mail would have the default tenant's brand."""
        tenant, settings = request.tenant_name, self.delivery.settings
        settings.prefetch(tenant, purpose_of(request.kind))
        if not (settings.has_tenant(tenant) or self.delivery.renderer.has_templates(tenant)):
            sentence = f"There is no tenant {tenant}: add it with `mailroom tenant add {tenant}`, or omit the field."
            raise InvalidRequest(422, ("tenant", sentence))

    def _lacks_time(self, deadline: float) -> bool:
        return self.clock() + MAX_REQUEST_SECONDS + RECORD_SECONDS > deadline

    def _admit(self, request: SendRequest) -> Message:
        """Return the message of a request: a new one, or the one that the same request became before."""
        now = self.clock()
        message = self._message_of(request, new_id(), now)
        key = self.delivery.settings.address_key()
        name = keyed_hash(key, request.deduplication_key)
        admission = Admission(message.id, keyed_hash(key, request.canonical_json), now)
        until = now + (KEY_LIFETIME_SECONDS if request.idempotency_key else SAME_WITHIN_SECONDS)
        admitted = self.delivery.ledger.admit(name, admission, until, now)
        if admitted == admission:
            return message
        if request.idempotency_key and admitted.request_hash != admission.request_hash:
            raise InvalidRequest(
                409, ("idempotency_key", "This key was used for another mail in the last 24 hours: use a new one.")
            )
        if self._may_be_replaced(admitted.message_id, has_key=bool(request.idempotency_key)):
            admitted = self.delivery.ledger.admit(name, admission, until, now, instead_of=admitted.message_id)
        return self._message_of(request, admitted.message_id, admitted.created_at)

    def _message_of(self, request: SendRequest, message_id: str, created_at: float) -> Message:
        """Return the message of a request, with the caller's key where it comes back in outcome events."""
        message = request.to_message(message_id, created_at, self.code_lifetime)
        if request.idempotency_key and self.delivery.outbox.reports(message.tenant):
            return replace(message, idempotency_key=request.reportable_key)
        return message

    def _may_be_replaced(self, message_id: str, *, has_key: bool) -> bool:
        """Return whether a repeated request becomes a new message, because nobody got the first one."""
        record = self.delivery.ledger.read(message_id)
        if record is None or _is_concealed(record.status, record.reason):
            return False
        return record.status is Status.FAILED or (record.status is Status.SKIPPED and not has_key)

    def _enqueue(self, message: Message) -> Outcome | None:
        """Put a message on its queue; None if a process has received it from there before."""
        if not self.delivery.ledger.accept(message, self.delivery.settings.address_key(), self.clock()):
            return None
        self.delivery.enqueue(Parcel.of(message))
        return Outcome(Status.ACCEPTED)

    def _reply(self, message: Message, outcome: Outcome) -> Reply:
        if _is_concealed(outcome.status, outcome.reason):
            reply = self._reply_as_if_sent(message)
        elif outcome.status is Status.ACCEPTED:
            reply = Reply.of(message, Status.ACCEPTED)
        else:
            reply = Reply.of(message, outcome.status, outcome.reason, outcome.provider, outcome.provider_id)
        return replace(reply, outcome=outcome)

    def _replay(self, request: SendRequest, message: Message) -> Reply:
        """Return the current status of a message whose request is repeated."""
        record = self.delivery.ledger.read(message.id)
        if record is None:
            return Reply.of(message, Status.UNKNOWN)
        is_concealed = _is_concealed(record.status, record.reason)
        status = Status.SENT if is_concealed or record.status in REPORTED else record.status
        if not request.idempotency_key and status in (Status.SENT, Status.ACCEPTED):
            return Reply.of(message, Status.SKIPPED, "duplicate")
        if is_concealed:
            return self._reply_as_if_sent(message)
        reason = "" if status is Status.SENT else record.reason
        return Reply.of(message, status, reason, record.provider, record.provider_id)

    def _keep_pace(self, outcome: Outcome, reply: Reply, started: float, deadline: float) -> None:
        """Answer a mail whose outcome is concealed after as long as one that is sent."""
        account, elapsed = str(reply.body.get("provider", "")), self.clock() - started
        if outcome.status is Status.SENT:
            self.pace.note(account, elapsed)
        elif account and _is_concealed(outcome.status, outcome.reason):
            left = deadline - self.clock() - RECORD_SECONDS
            self.delivery.dispatch.sleep(min(self.pace.pause(account, outcome.reason, elapsed), max(0.0, left)))

    def _reply_as_if_sent(self, message: Message) -> Reply:
        """Return the reply that the message would get if its recipient were not suppressed and the provider took it.

        The provider's id is made from the message's, so that a repeated request gets the same reply, by a key that no
        caller has: a UUID, as Resend's and Postmark's ids are.
        """
        settings = self.delivery.settings
        try:
            chain = settings.sender(message.tenant, message.purpose).providers
            account = next((name for name in chain if is_configured(name, settings.provider(name))), "")
        except ConfigurationError as error:
            return Reply.of(message, Status.FAILED, error.code)
        if not account:
            return Reply.of(message, Status.SKIPPED, "email_not_configured")
        from uuid import UUID  # few mails are limited or suppressed

        provider_id = UUID(keyed_hash(settings.address_key(), message.id), version=4)
        return Reply.of(message, Status.SENT, "", account, str(provider_id))


def _is_concealed(status: str, reason: str) -> bool:
    return status == Status.SKIPPED and reason in CONCEALED


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
