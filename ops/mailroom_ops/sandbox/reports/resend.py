"""Webhooks of Resend: https://resend.com/docs/webhooks/event-types"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import JSON, Posting, iso_time, tags_of

__all__ = ["report", "settings", "sign_resend"]

SIGNING_KEY = b"what Resend signs with here"


def settings() -> dict[str, str]:
    return {"feedback/resend/secret": f"whsec_{base64.b64encode(SIGNING_KEY).decode()}"}


def sign_resend(body: bytes, now: float, id_: str = "") -> Posting:
    id_ = id_ or f"msg_{secrets.token_hex(12)}"
    signature = hmac.digest(SIGNING_KEY, f"{id_}.{int(now)}.".encode() + body, hashlib.sha256)
    headers = {"svix-id": id_, "svix-timestamp": str(int(now))}
    headers["svix-signature"] = f"v1,{base64.b64encode(signature).decode()}"
    return Posting("/feedback/resend", body, JSON | headers)


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    events: dict[EventType, tuple[str, dict[str, Any]]] = {
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
    if event_type not in events:
        return None
    name, details = events[event_type]
    content = {
        "type": name,
        "created_at": iso_time(now),
        "data": {
            "email_id": mail.id,
            "created_at": mail.received_at,
            "from": mail.from_,
            "to": [mail.to],
            "subject": mail.subject,
            "tags": tags_of(mail),
            **details,
        },
    }
    return sign_resend(json.dumps(content).encode(), now)
