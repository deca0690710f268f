"""Webhooks of Mailgun: https://documentation.mailgun.com/docs/mailgun/user-manual/events/webhooks"""

import hashlib
import hmac
import json
import secrets
from typing import Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import PATH_SECRET, Posting, tags_of

__all__ = ["MAILGUN_KEY", "report", "settings"]

MAILGUN_KEY = "local-mailgun-signing-key"


def settings() -> dict[str, str]:
    return {"feedback/mailgun/secret": PATH_SECRET, "feedback/mailgun/signing_key": MAILGUN_KEY}


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    unknown = {"code": 550, "message": "5.1.1 user unknown", "enhanced-code": "5.1.1", "attempt-no": 1}
    later = {"code": 451, "message": "4.7.1 try again later", "enhanced-code": "4.7.1", "retry-seconds": 600}
    events: dict[EventType, dict[str, Any]] = {
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
    if event_type not in events:
        return None
    data = {
        **events[event_type],
        "id": secrets.token_urlsafe(16),
        "timestamp": now,
        "recipient": mail.to,
        "tags": [mail.kind],
        "user-variables": tags_of(mail),
        "message": {"headers": {"to": mail.to, "message-id": mail.id, "from": mail.from_, "subject": mail.subject}},
    }
    timestamp, token = str(int(now)), secrets.token_hex(25)
    signature = hmac.digest(MAILGUN_KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hex()
    signed = {"timestamp": timestamp, "token": token, "signature": signature}
    body = json.dumps({"signature": signed, "event-data": data}).encode()
    return Posting(f"/feedback/mailgun/{PATH_SECRET}", body)
