"""What providers report of a mail: written and signed as each of them does, with secrets made up for this machine."""

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["Posting", "report", "settings", "sign_resend", "sign_sendgrid"]

JSON = {"content-type": "application/json"}
RESEND_KEY = b"what Resend signs with here"
PATH_SECRET = "local-feedback-secret"
MAILGUN_KEY = "local-mailgun-signing-key"
SENDGRID_KEY = 20_261_120  # a private key is a number, and this one is no secret


@dataclass(frozen=True, slots=True)
class Posting:
    """One request to Mailroom's front door."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def settings() -> dict[str, str]:
    """Return what must be set for these reports to be believed."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _sendgrid_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "feedback/resend/secret": f"whsec_{base64.b64encode(RESEND_KEY).decode()}",
        "feedback/sendgrid/secret": base64.b64encode(key).decode(),
        "feedback/mailgun/secret": PATH_SECRET,
        "feedback/mailgun/signing_key": MAILGUN_KEY,
        "feedback/postmark/secret": PATH_SECRET,
        "feedback/aliyun/secret": PATH_SECRET,
    }


def report(mail: Captured, what: EventType) -> Posting | None:
    """Return what a mail's provider reports when this becomes of it; nothing if it has no words for it."""
    write = WRITERS.get(mail.provider)
    return write(mail, what, time.time()) if write else None


def sign_resend(body: bytes, now: float, id_: str = "") -> Posting:
    id_ = id_ or f"msg_{secrets.token_hex(12)}"
    signature = hmac.digest(RESEND_KEY, f"{id_}.{int(now)}.".encode() + body, hashlib.sha256)
    signed = {"svix-id": id_, "svix-timestamp": str(int(now))}
    signed["svix-signature"] = f"v1,{base64.b64encode(signature).decode()}"
    return Posting("/feedback/resend", body, JSON | signed)


def _resend(mail: Captured, what: EventType, now: float) -> Posting | None:
    kinds: dict[EventType, tuple[str, dict[str, Any]]] = {
        EventType.DELIVERED: ("email.delivered", {}),
        EventType.DEFERRED: ("email.delivery_delayed", {}),
        EventType.BOUNCED: (
            "email.bounced",
            {"bounce": {"type": "Permanent", "subType": "General", "diagnosticCode": ["smtp; 550 5.1.1 user unknown"]}},
        ),
        EventType.COMPLAINED: ("email.complained", {}),
        EventType.SUPPRESSED: (
            "email.suppressed",
            {"suppressed": {"type": "OnAccountSuppressionList", "reason": "previous_bounce"}},
        ),
        EventType.FAILED: ("email.failed", {"failed": {"reason": "reached_daily_quota"}}),
        EventType.OPENED: ("email.opened", {}),
    }
    if what not in kinds:
        return None
    kind, more = kinds[what]
    said = {
        "type": kind,
        "created_at": _iso(now),
        "data": {
            "email_id": mail.id,
            "created_at": mail.received_at,
            "from": mail.from_,
            "to": [mail.to],
            "subject": mail.subject,
            "tags": _tags(mail),
            **more,
        },
    }
    return sign_resend(json.dumps(said).encode(), now)


@cache
def _sendgrid_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    return derive_private_key(SENDGRID_KEY, SECP256R1())


def sign_sendgrid(body: bytes, now: float) -> Posting:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = _sendgrid_key().sign(str(int(now)).encode() + body, ECDSA(SHA256()))
    signed = {
        "X-Twilio-Email-Event-Webhook-Timestamp": str(int(now)),
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }
    return Posting("/feedback/sendgrid", body, JSON | signed)


def _sendgrid(mail: Captured, what: EventType, now: float) -> Posting | None:
    kinds: dict[EventType, dict[str, Any]] = {
        EventType.DELIVERED: {"event": "delivered", "response": "250 2.0.0 OK"},
        EventType.DEFERRED: {"event": "deferred", "response": "451 4.7.1 try again later", "attempt": "1"},
        EventType.BOUNCED: {"event": "bounce", "type": "bounce", "reason": "550 5.1.1 user unknown", "status": "5.1.1"},
        EventType.COMPLAINED: {"event": "spamreport"},
        EventType.SUPPRESSED: {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
        EventType.OPENED: {"event": "open", "ip": "192.0.2.1", "useragent": "Mozilla/5.0"},
        EventType.UNSUBSCRIBED: {"event": "unsubscribe"},
    }
    if what not in kinds:
        return None
    shared = {
        "email": mail.to,
        "timestamp": int(now),
        "smtp-id": f"<{mail.id}@geopod.example>",
        "sg_message_id": f"{mail.id}.recvd-5f5fc76c.0",
        "category": [mail.kind],
        **_tags(mail),
    }
    events = [{"event": "processed"}, kinds[what]]
    said = [shared | event | {"sg_event_id": secrets.token_urlsafe(16)} for event in events]
    return sign_sendgrid(json.dumps(said).encode() + b"\r\n", now)


def _mailgun(mail: Captured, what: EventType, now: float) -> Posting | None:
    unknown = {"code": 550, "message": "5.1.1 user unknown", "enhanced-code": "5.1.1", "attempt-no": 1}
    later = {"code": 451, "message": "4.7.1 try again later", "enhanced-code": "4.7.1", "retry-seconds": 600}
    kinds: dict[EventType, dict[str, Any]] = {
        EventType.DELIVERED: {"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}},
        EventType.DEFERRED: {"event": "failed", "severity": "temporary", "reason": "generic", "delivery-status": later},
        EventType.BOUNCED: {"event": "failed", "severity": "permanent", "reason": "bounce", "delivery-status": unknown},
        EventType.COMPLAINED: {"event": "complained"},
        EventType.SUPPRESSED: {
            "event": "failed",
            "severity": "permanent",
            "reason": "suppress-bounce",
            "delivery-status": {"code": 605, "message": ""},
        },
        EventType.OPENED: {"event": "opened", "ip": "192.0.2.1"},
        EventType.UNSUBSCRIBED: {"event": "unsubscribed"},
    }
    if what not in kinds:
        return None
    data = {
        **kinds[what],
        "id": secrets.token_urlsafe(16),
        "timestamp": now,
        "recipient": mail.to,
        "tags": [mail.kind],
        "user-variables": _tags(mail),
        "message": {"headers": {"to": mail.to, "message-id": mail.id, "from": mail.from_, "subject": mail.subject}},
    }
    timestamp, token = str(int(now)), secrets.token_hex(25)
    signature = hmac.digest(MAILGUN_KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hex()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    body = json.dumps({"signature": signed, "event-data": data}).encode()
    return Posting(f"/feedback/mailgun/{PATH_SECRET}", body)


def _postmark(mail: Captured, what: EventType, now: float) -> Posting | None:
    bounce = {"Email": mail.to, "BouncedAt": _iso(now), "ID": secrets.randbelow(1 << 40), "From": mail.from_}
    kinds: dict[EventType, dict[str, Any]] = {
        EventType.DELIVERED: {
            "RecordType": "Delivery",
            "Recipient": mail.to,
            "DeliveredAt": _iso(now),
            "Details": "250 OK",
        },
        EventType.DEFERRED: {
            "RecordType": "Bounce",
            "Type": "Transient",
            "TypeCode": 2,
            "Details": "451 later",
            **bounce,
        },
        EventType.BOUNCED: {
            "RecordType": "Bounce",
            "Type": "HardBounce",
            "TypeCode": 1,
            "Inactive": True,
            "Details": "smtp;550 5.1.1 user unknown",
            **bounce,
        },
        EventType.COMPLAINED: {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 512, **bounce},
        EventType.SUPPRESSED: {
            "RecordType": "SubscriptionChange",
            "Recipient": mail.to,
            "ChangedAt": _iso(now),
            "SuppressSending": True,
            "SuppressionReason": "HardBounce",
            "Origin": "Recipient",
        },
        EventType.OPENED: {"RecordType": "Open", "Recipient": mail.to, "ReceivedAt": _iso(now), "FirstOpen": True},
    }
    if what not in kinds:
        return None
    said = {**kinds[what], "MessageID": mail.id, "MessageStream": "outbound", "Tag": mail.kind, "Metadata": _tags(mail)}
    credentials = base64.b64encode(f"postmark:{PATH_SECRET}".encode()).decode()
    return Posting("/feedback/postmark", json.dumps(said).encode(), JSON | {"authorization": f"Basic {credentials}"})


def _aliyun(mail: Captured, what: EventType, now: float) -> Posting | None:
    refused = {"err_code": "550", "err_msg": "550 5.1.1 user unknown", "failed_type": "SmtpNxBox"}
    kinds: dict[EventType, tuple[str, dict[str, Any]]] = {
        EventType.DELIVERED: ("dm:Deliver:Succeed", {"err_code": "250", "err_msg": "250 Send Mail OK"}),
        EventType.BOUNCED: ("dm:Deliver:Fail", refused),
        EventType.COMPLAINED: ("dm:Feedback:FblReport", {}),
        EventType.OPENED: ("dm:Trace:Open", {}),
        EventType.UNSUBSCRIBED: ("dm:Feedback:UnSubscribe", {}),
    }
    if what not in kinds:
        return None
    kind, more = kinds[what]
    ours = {f"X-User-Notify-{name.replace('_', '-').title()}": value for name, value in _tags(mail).items()}
    said = {
        "id": str(uuid.uuid4()),
        "source": "acs:dm",
        "specversion": "1.0",
        "type": kind,
        "time": _iso(now),
        "data": {"env_id": mail.id, "rcpt": mail.to, "event": kind, "header": ours, **more},
    }
    return Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(said).encode())


def _ses(mail: Captured, what: EventType, now: float) -> Posting | None:
    """As EventBridge hands it to the function: no signature, because IAM lets nobody else in."""
    who, at = [{"emailAddress": mail.to}], {"timestamp": _iso(now)}
    unknown = [{"emailAddress": mail.to, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]
    feedback = {"feedbackId": str(uuid.uuid4()), **at}
    kinds: dict[EventType, tuple[str, dict[str, Any]]] = {
        EventType.DELIVERED: ("Delivery", {"delivery": {"recipients": [mail.to], "smtpResponse": "250 OK", **at}}),
        EventType.DEFERRED: (
            "DeliveryDelay",
            {"deliveryDelay": {"delayType": "General", "delayedRecipients": who, **at}},
        ),
        EventType.BOUNCED: (
            "Bounce",
            {
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": unknown,
                    **feedback,
                }
            },
        ),
        EventType.COMPLAINED: ("Complaint", {"complaint": {"complainedRecipients": who, **feedback}}),
        EventType.SUPPRESSED: (
            "Bounce",
            {
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "OnAccountSuppressionList",
                    "bouncedRecipients": who,
                    **feedback,
                }
            },
        ),
        EventType.REJECTED: ("Reject", {"reject": {"reason": "Bad content"}}),
        EventType.OPENED: ("Open", {"open": {"ipAddress": "192.0.2.1", **at}}),
    }
    if what not in kinds:
        return None
    kind, more = kinds[what]
    tags = {name: [value] for name, value in _tags(mail).items()}
    sent = {
        "timestamp": mail.received_at,
        "messageId": mail.id,
        "source": mail.from_,
        "destination": [mail.to],
        "tags": tags,
    }
    event = {"source": "aws.ses", "detail-type": f"Email {kind}", "detail": {"eventType": kind, "mail": sent, **more}}
    return Posting("/2015-03-31/functions/feedback/invocations", json.dumps(event).encode())


def _tags(mail: Captured) -> dict[str, str]:
    return {"message_id": mail.message_id, "tenant": mail.tenant, "kind": mail.kind}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


WRITERS: Mapping[str, Callable[[Captured, EventType, float], Posting | None]] = {
    "resend": _resend,
    "sendgrid": _sendgrid,
    "mailgun": _mailgun,
    "postmark": _postmark,
    "aliyun": _aliyun,
    "ses": _ses,
}
