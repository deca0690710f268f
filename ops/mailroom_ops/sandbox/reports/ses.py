"""Events of Amazon SES, as EventBridge invokes the function with them: without a signature, IAM authenticates it."""

import json
import uuid
from typing import Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting, iso_time, tags_of

__all__ = ["report", "settings"]


def settings() -> dict[str, str]:
    return {}


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    recipients, at = [{"emailAddress": mail.to}], {"timestamp": iso_time(now)}
    unknown = [{"emailAddress": mail.to, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]
    feedback = {"feedbackId": str(uuid.uuid4()), **at}
    events: dict[EventType, tuple[str, dict[str, Any]]] = {
        EventType.DELIVERED: ("Delivery", {"delivery": {"recipients": [mail.to], "smtpResponse": "250 OK", **at}}),
        EventType.DEFERRED: (
            "DeliveryDelay",
            {"deliveryDelay": {"delayType": "General", "delayedRecipients": recipients, **at}},
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
        EventType.COMPLAINED: ("Complaint", {"complaint": {"complainedRecipients": recipients, **feedback}}),
        EventType.SUPPRESSED: (
            "Bounce",
            {
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "OnAccountSuppressionList",
                    "bouncedRecipients": recipients,
                    **feedback,
                }
            },
        ),
        EventType.REJECTED: ("Reject", {"reject": {"reason": "Bad content"}}),
        EventType.OPENED: ("Open", {"open": {"ipAddress": "192.0.2.1", **at}}),
    }
    if event_type not in events:
        return None
    name, details = events[event_type]
    tags = {tag: [value] for tag, value in tags_of(mail).items()}
    sent = {
        "timestamp": mail.received_at,
        "messageId": mail.id,
        "source": mail.from_,
        "destination": [mail.to],
        "tags": tags,
    }
    event = {
        "source": "aws.ses",
        "detail-type": f"Email {name}",
        "detail": {"eventType": name, "mail": sent, **details},
    }
    return Posting("/2015-03-31/functions/feedback/invocations", json.dumps(event).encode())
