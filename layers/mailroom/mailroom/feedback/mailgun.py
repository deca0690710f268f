"""Mailgun's webhooks: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._authentication import Unauthenticated, equals_any, require_fresh, require_shared_secret
from mailroom.feedback._fields import body_of, dig, seconds, text
from mailroom.model.event import Event, Reason, Report, What, reason_in, replies
from mailroom.request import Request

# Mailgun signs a timestamp and a token, and not what it says: who has seen one signature could say anything with it.
# So the address it posts to ends with a secret of ours, too, and a token is good for one body.
NEEDS = ("secret", "signing_key")

# `accepted` and `stored` are no news; `failed` is told apart by its severity.
TYPES = {
    "delivered": What.DELIVERED,
    "failed": What.BOUNCED,
    "rejected": What.REJECTED,
    "complained": What.COMPLAINED,
    "opened": What.OPENED,
    "clicked": What.CLICKED,
    "unsubscribed": What.UNSUBSCRIBED,
}
REASONS = {
    "suppress-bounce": (What.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "suppress-complaint": (What.SUPPRESSED, Reason.PREVIOUS_COMPLAINT),
    "suppress-unsubscribe": (What.SUPPRESSED, Reason.UNSUBSCRIBED),
    "espblock": (What.BOUNCED, Reason.BLOCKED),
    "old": (What.BOUNCED, Reason.UNREACHABLE),  # it gave up after hours of soft bounces
}
SOFT = ("espblock", "old")


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    require_shared_secret(request, secrets["secret"])
    body = body_of(request)
    token = verify(body, secrets["signing_key"], request.received_at)
    events = parse(dig(body, "event-data"), account, token, request.received_at)
    return Report(events, f"{account} {token}", request.body)


def verify(body: Mapping[str, Any], keys: Sequence[str], now: float) -> str:
    """Return the token, which Mailgun uses once."""
    timestamp, token = text(body, "signature", "timestamp"), text(body, "signature", "token")
    require_fresh(timestamp, now)
    signed = f"{timestamp}{token}".encode("utf-8", "surrogatepass")
    expected = [hmac.digest(key.encode(), signed, hashlib.sha256).hex().encode() for key in keys]
    presented = text(body, "signature", "signature").encode("utf-8", "surrogatepass")
    if not token or not equals_any(presented, expected):
        raise Unauthenticated("the signature does not match")
    return token


def parse(data: Any, account: str, token: str, now: float) -> list[Event]:
    name, why = text(data, "event"), text(data, "reason")
    what = TYPES.get(name)
    if what is None:
        return []
    status = dig(data, "delivery-status")
    codes = " ".join(filter(None, (replies(str(dig(status, "code"))), replies(dig(status, "enhanced-code")))))
    reason, permanent = None, False
    if what is What.BOUNCED and text(data, "severity") == "temporary":
        what = What.DEFERRED
    elif what is What.BOUNCED:
        what, reason = REASONS.get(why, (what, reason_in(codes)))
        permanent = what is What.BOUNCED and why not in SOFT
    elif what is What.REJECTED:
        reason = Reason.OTHER
    event = Event(
        what,
        account,
        token,
        seconds(data, "timestamp", default=now),
        message_id=text(data, "user-variables", "message_id"),
        provider_id=text(data, "message", "headers", "message-id").strip("<>"),
        recipient=text(data, "recipient") or text(data, "message", "headers", "to"),
        tenant=text(data, "user-variables", "tenant"),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
