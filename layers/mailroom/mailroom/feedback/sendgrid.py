"""SendGrid's event webhook: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.errors import ConfigurationError, RequestError
from mailroom.feedback._reply_codes import reason_of, reply_codes
from mailroom.model.event import Event, EventType, Reason, Report
from mailroom.request import Request, parse_json
from mailroom.webhooks.authentication import Unauthenticated, decode_base64, require_fresh
from mailroom.webhooks.json_access import text, unix_time

__all__ = ["NEEDS", "SIGNATURE", "TIMESTAMP", "read"]

NEEDS = ("secret",)  # the verification keys that SendGrid shows when signing is turned on

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

# `processed` is ignored, and `group_resubscribe` too: an operator ends a suppression.
TYPES = {
    "delivered": EventType.DELIVERED,
    "deferred": EventType.DEFERRED,
    "bounce": EventType.BOUNCED,
    "dropped": EventType.REJECTED,
    "spamreport": EventType.COMPLAINED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
}
# https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event#dropped
DROPPED = {
    "Bounced Address": (EventType.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "Spam Reporting Address": (EventType.SUPPRESSED, Reason.PREVIOUS_COMPLAINT),
    "Unsubscribed Address": (EventType.SUPPRESSED, Reason.UNSUBSCRIBED),
    "Recipient List over Package Quota": (EventType.FAILED, Reason.QUOTA),
    "Spam Content": (EventType.REJECTED, Reason.CONTENT),
}


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    verify(request, account, secrets["secret"])
    body = parse_json(request.body)
    if not isinstance(body, list):
        raise RequestError(400, "This is not a report: SendGrid sends a JSON array of events.")
    return Report([event for item in body for event in parse(item, account, request.received_at)])


def verify(request: Request, account: str, keys: Sequence[str]) -> None:
    """Refuse a request that none of the keys has signed.

    The signature (ECDSA, P-256, SHA-256) is over timestamp and raw body, with the line break at its end.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    timestamp = request.headers.get(TIMESTAMP, "")
    require_fresh(timestamp, request.received_at)
    signature = decode_base64(request.headers.get(SIGNATURE, ""))
    for encoded_key in keys:
        try:
            key = load_der_public_key(decode_base64(encoded_key))
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
    problem = "must be the verification keys that SendGrid shows, MFkw…, one a line"
    return ConfigurationError("settings", "malformed", f"feedback/{account}/secret {problem}")


def parse(item: Any, account: str, now: float) -> list[Event]:
    """Return one of the events. The custom_args that we sent are fields beside SendGrid's own."""
    name, explanation = text(item, "event"), text(item, "reason")
    type_ = TYPES.get(name)
    if type_ is None:
        return []
    codes = reply_codes(item.get("status")) or reply_codes(item.get("reason")) or reply_codes(item.get("response"))
    reason, permanent = None, False
    if type_ is EventType.BOUNCED:
        is_block = text(item, "type") == "blocked"  # SendGrid does not hold a block against the address
        reason, permanent = (Reason.BLOCKED, False) if is_block else (reason_of(codes), True)
    elif type_ is EventType.REJECTED:
        meanings = (meaning for start, meaning in DROPPED.items() if explanation.startswith(start))
        type_, reason = next(meanings, (type_, Reason.OTHER))
    event = Event(
        type_,
        account,
        # Not sg_event_id: it changes when SendGrid repeats an event. https://github.com/sendgrid/sendgrid-nodejs/issues/1435
        f"{name} {item.get('timestamp')} {item.get('attempt')}",
        unix_time(item, "timestamp", default=now),
        message_id=text(item, "message_id"),
        provider_id=text(item, "sg_message_id").partition(".")[0],
        recipient=text(item, "email"),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
