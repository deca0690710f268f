"""Event webhooks of SendGrid: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""

import base64
import json
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import JSON, Posting, tags_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["report", "settings", "sign_sendgrid"]

PRIVATE_KEY = 20_261_120  # not secret: it signs on this machine only


def settings() -> dict[str, str]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _private_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"feedback/sendgrid/secret": base64.b64encode(key).decode()}


@cache
def _private_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    return derive_private_key(PRIVATE_KEY, SECP256R1())


def sign_sendgrid(body: bytes, now: float) -> Posting:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = _private_key().sign(str(int(now)).encode() + body, ECDSA(SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Timestamp": str(int(now)),
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }
    return Posting("/feedback/sendgrid", body, JSON | headers)


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    events: dict[EventType, dict[str, Any]] = {
        EventType.DELIVERED: {"event": "delivered", "response": "250 2.0.0 OK"},
        EventType.DEFERRED: {"event": "deferred", "response": "451 4.7.1 try again later", "attempt": "1"},
        EventType.BOUNCED: {"event": "bounce", "type": "bounce", "reason": "550 5.1.1 user unknown", "status": "5.1.1"},
        EventType.COMPLAINED: {"event": "spamreport"},
        EventType.SUPPRESSED: {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
        EventType.OPENED: {"event": "open", "ip": "192.0.2.1", "useragent": "Mozilla/5.0"},
        EventType.UNSUBSCRIBED: {"event": "unsubscribe"},
    }
    if event_type not in events:
        return None
    common = {
        "email": mail.to,
        "timestamp": int(now),
        "smtp-id": f"<{mail.id}@geopod.example>",
        "sg_message_id": f"{mail.id}.recvd-5f5fc76c.0",
        "category": [mail.kind],
        **tags_of(mail),
    }
    content = [
        common | event | {"sg_event_id": secrets.token_urlsafe(16)}
        for event in ({"event": "processed"}, events[event_type])
    ]
    return sign_sendgrid(json.dumps(content).encode() + b"\r\n", now)
