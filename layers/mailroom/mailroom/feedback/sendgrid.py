"""SendGrid's event webhook: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.errors import ConfigurationError, RequestError
from mailroom.feedback._authentication import Unauthenticated, decode_base64, require_fresh
from mailroom.feedback._fields import seconds, text
from mailroom.model.event import Event, Reason, Report, What, reason_in, replies
from mailroom.request import Request, parse_json

NEEDS = ("secret",)  # the verification keys that SendGrid shows when signing is turned on

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

# `processed` is no news; `group_resubscribe` undoes what we would have to have kept.
TYPES = {
    "delivered": What.DELIVERED,
    "deferred": What.DEFERRED,
    "bounce": What.BOUNCED,
    "dropped": What.REJECTED,
    "spamreport": What.COMPLAINED,
    "open": What.OPENED,
    "click": What.CLICKED,
    "unsubscribe": What.UNSUBSCRIBED,
    "group_unsubscribe": What.UNSUBSCRIBED,
}
# https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event#dropped
DROPPED = {
    "Bounced Address": (What.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "Spam Reporting Address": (What.SUPPRESSED, Reason.PREVIOUS_COMPLAINT),
    "Unsubscribed Address": (What.SUPPRESSED, Reason.UNSUBSCRIBED),
    "Recipient List over Package Quota": (What.FAILED, Reason.QUOTA),
    "Spam Content": (What.REJECTED, Reason.CONTENT),
}


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    verify(request, account, secrets["secret"])
    body = parse_json(request.body)
    if not isinstance(body, list):
        raise RequestError(400, "This is not a report: SendGrid sends a JSON array of events.")
    return Report([event for item in body for event in parse(item, account, request.received_at)])


def verify(request: Request, account: str, keys: Sequence[str]) -> None:
    """ECDSA over P-256 and SHA-256, of the timestamp and the raw bytes: the line break at their end is part of them."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    timestamp = request.headers.get(TIMESTAMP, "")
    require_fresh(timestamp, request.received_at)
    signature = decode_base64(request.headers.get(SIGNATURE, ""))
    for text_of_key in keys:
        try:
            key = load_der_public_key(decode_base64(text_of_key))
        except ValueError as error:
            raise _malformed(account) from error
        if not isinstance(key, EllipticCurvePublicKey):
            raise _malformed(account)
        try:
            return key.verify(signature, timestamp.encode() + request.body, ECDSA(SHA256()))
        except InvalidSignature:
            continue
    raise Unauthenticated("no signature matches")


def _malformed(account: str) -> ConfigurationError:
    what = "must be the verification keys that SendGrid shows, MFkw…, one a line"
    return ConfigurationError("settings", "malformed", f"feedback/{account}/secret {what}")


def parse(item: Any, account: str, now: float) -> list[Event]:
    """Read one of the events. What we sent as custom_args stands beside SendGrid's own fields."""
    name, said = text(item, "event"), text(item, "reason")
    what = TYPES.get(name)
    if what is None:
        return []
    codes = replies(item.get("status")) or replies(item.get("reason")) or replies(item.get("response"))
    reason, permanent = None, False
    if what is What.BOUNCED:
        blocked = text(item, "type") == "blocked"  # what SendGrid calls a block it does not hold against the address
        reason, permanent = (Reason.BLOCKED, False) if blocked else (reason_in(codes), True)
    elif what is What.REJECTED:
        found = next((meaning for start, meaning in DROPPED.items() if said.startswith(start)), None)
        what, reason = found or (what, Reason.OTHER)
    event = Event(
        what,
        account,
        # Not sg_event_id: it changes when SendGrid repeats an event. https://github.com/sendgrid/sendgrid-nodejs/issues/1435
        f"{name} {item.get('timestamp')} {item.get('attempt')}",
        seconds(item, "timestamp", default=now),
        message_id=text(item, "message_id"),
        provider_id=text(item, "sg_message_id").partition(".")[0],
        recipient=text(item, "email"),
        tenant=text(item, "tenant"),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
