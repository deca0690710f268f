"""Mailgun's webhooks: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._authentication import require_shared_secret
from mailroom.feedback._json_access import body_of
from mailroom.feedback._reply_codes import reason_of, reply_codes
from mailroom.model.event import Event, EventType, Reason, Report
from mailroom.request import Request
from mailroom.webhooks.authentication import Unauthenticated, equals_any, require_fresh
from mailroom.webhooks.json_access import get, text, unix_time

__all__ = ["NEEDS", "read"]

# Mailgun signs a timestamp and a token, but not the event: whoever has seen one signature could put it on any event.
# So the address that it posts to ends with a secret of ours, too, and a token is valid for one body.
NEEDS = ("secret", "signing_key")

# `accepted` and `stored` are ignored; a `failed` is a bounce or a deferral, by its severity.
TYPES = {
    "delivered": EventType.DELIVERED,
    "failed": EventType.BOUNCED,
    "rejected": EventType.REJECTED,
    "complained": EventType.COMPLAINED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "unsubscribed": EventType.UNSUBSCRIBED,
}
REASONS = {
    "suppress-bounce": (EventType.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "suppress-complaint": (EventType.SUPPRESSED, Reason.PREVIOUS_COMPLAINT),
    "suppress-unsubscribe": (EventType.SUPPRESSED, Reason.UNSUBSCRIBED),
    "espblock": (EventType.BOUNCED, Reason.BLOCKED),
    "old": (EventType.BOUNCED, Reason.UNREACHABLE),  # it gave up after hours of soft bounces
}
TRANSIENT_REASONS = ("espblock", "old")


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    require_shared_secret(request, secrets["secret"])
    body = body_of(request)
    token = verify(body, secrets["signing_key"], request.received_at)
    events = parse(get(body, "event-data"), account, token, request.received_at)
    return Report(events, f"{account} {token}", request.body)


def verify(body: Mapping[str, Any], keys: Sequence[str], now: float) -> str:
    """Refuse a body that is not signed with one of the keys; return its token, which Mailgun uses once."""
    timestamp, token = text(body, "signature", "timestamp"), text(body, "signature", "token")
    require_fresh(timestamp, now)
    signed = f"{timestamp}{token}".encode("utf-8", "surrogatepass")
    expected = [hmac.digest(key.encode(), signed, hashlib.sha256).hex().encode() for key in keys]
    presented = text(body, "signature", "signature").encode("utf-8", "surrogatepass")
    if not token or not equals_any(presented, expected):
        raise Unauthenticated("the signature does not match")
    return token


def parse(data: Any, account: str, token: str, now: float) -> list[Event]:
    type_ = TYPES.get(text(data, "event"))
    if type_ is None:
        return []
    status, cause = get(data, "delivery-status"), text(data, "reason")
    codes = " ".join(filter(None, (reply_codes(str(get(status, "code"))), reply_codes(get(status, "enhanced-code")))))
    reason, permanent = None, False
    if type_ is EventType.BOUNCED and text(data, "severity") == "temporary":
        type_ = EventType.DEFERRED
    elif type_ is EventType.BOUNCED:
        type_, reason = REASONS.get(cause, (type_, reason_of(codes)))
        permanent = type_ is EventType.BOUNCED and cause not in TRANSIENT_REASONS
    elif type_ is EventType.REJECTED:
        reason = Reason.OTHER
    event = Event(
        type_,
        account,
        token,
        unix_time(data, "timestamp", default=now),
        message_id=text(data, "user-variables", "message_id"),
        provider_id=text(data, "message", "headers", "message-id").strip("<>"),
        recipient=text(data, "recipient") or text(data, "message", "headers", "to"),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
