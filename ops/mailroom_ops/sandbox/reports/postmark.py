"""Webhooks of Postmark: https://postmarkapp.com/developer/webhooks/webhooks-overview"""

import base64
import json
import secrets
from typing import Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import JSON, PATH_SECRET, Posting, iso_time, tags_of

__all__ = ["report", "settings"]


def settings() -> dict[str, str]:
    return {"feedback/postmark/secret": PATH_SECRET}


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    bounce = {"Email": mail.to, "BouncedAt": iso_time(now), "ID": secrets.randbelow(1 << 40), "From": mail.from_}
    events: dict[EventType, dict[str, Any]] = {
        EventType.DELIVERED: {
            "RecordType": "Delivery",
            "Recipient": mail.to,
            "DeliveredAt": iso_time(now),
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
            "ChangedAt": iso_time(now),
            "SuppressSending": True,
            "SuppressionReason": "HardBounce",
            "Origin": "Recipient",
        },
        EventType.OPENED: {"RecordType": "Open", "Recipient": mail.to, "ReceivedAt": iso_time(now), "FirstOpen": True},
    }
    if event_type not in events:
        return None
    content = {
        **events[event_type],
        "MessageID": mail.id,
        "MessageStream": "outbound",
        "Tag": mail.kind,
        "Metadata": tags_of(mail),
    }
    credentials = base64.b64encode(f"postmark:{PATH_SECRET}".encode()).decode()
    return Posting("/feedback/postmark", json.dumps(content).encode(), JSON | {"authorization": f"Basic {credentials}"})
