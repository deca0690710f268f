"""Postmark's webhooks: https://postmarkapp.com/developer/webhooks/webhooks-overview

They are not signed. Their URL ends with a secret, or contains it as a Basic password; or the webhook has a header
`X-Mailroom-Secret`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._authentication import require_shared_secret
from mailroom.feedback._json_access import body_of
from mailroom.feedback._reply_codes import reason_of, reply_codes
from mailroom.model.event import Event, EventType, Reason, Report
from mailroom.request import Request
from mailroom.webhooks.json_access import get, iso_time, text

__all__ = ["NEEDS", "read"]

NEEDS = ("secret",)

# By RecordType: the event type, and the names of the fields that hold the recipient and the time.
RECORDS = {
    "Delivery": (EventType.DELIVERED, "Recipient", "DeliveredAt"),
    "Bounce": (EventType.BOUNCED, "Email", "BouncedAt"),
    "SpamComplaint": (EventType.COMPLAINED, "Email", "BouncedAt"),
    "Open": (EventType.OPENED, "Recipient", "ReceivedAt"),
    "Click": (EventType.CLICKED, "Recipient", "ReceivedAt"),
    "SubscriptionChange": (EventType.SUPPRESSED, "Recipient", "ChangedAt"),
}
# https://postmarkapp.com/developer/api/bounce-api#bounce-types. Where a type is missing here it is a soft bounce.
HARD, SOFT = True, False
BOUNCES = {
    "HardBounce": (EventType.BOUNCED, HARD, Reason.NO_MAILBOX),
    "BadEmailAddress": (EventType.BOUNCED, HARD, Reason.NO_MAILBOX),
    "SoftBounce": (EventType.BOUNCED, SOFT, None),
    "DnsError": (EventType.BOUNCED, SOFT, Reason.UNREACHABLE),
    "Blocked": (EventType.BOUNCED, SOFT, Reason.BLOCKED),
    "DMARCPolicy": (EventType.BOUNCED, SOFT, Reason.BLOCKED),
    "SpamNotification": (EventType.BOUNCED, SOFT, Reason.BLOCKED),
    "VirusNotification": (EventType.BOUNCED, SOFT, Reason.CONTENT),
    "Transient": (EventType.DEFERRED, SOFT, None),
    "AutoResponder": (EventType.DELIVERED, SOFT, Reason.AUTO_REPLY),
    "SpamComplaint": (EventType.COMPLAINED, SOFT, None),
    "Unsubscribe": (EventType.UNSUBSCRIBED, SOFT, None),
    "ManuallyDeactivated": (EventType.SUPPRESSED, SOFT, Reason.OTHER),
    "SMTPApiError": (EventType.FAILED, SOFT, Reason.OTHER),
    "TemplateRenderingFailed": (EventType.FAILED, SOFT, Reason.OTHER),
}
SUPPRESSIONS = {
    "HardBounce": Reason.PREVIOUS_BOUNCE,
    "SpamComplaint": Reason.PREVIOUS_COMPLAINT,
    "ManualSuppression": Reason.UNSUBSCRIBED,
}


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    require_shared_secret(request, secrets["secret"])
    return Report(parse(body_of(request), account, request.received_at))


def parse(body: Mapping[str, Any], account: str, now: float) -> list[Event]:
    record, kind = text(body, "RecordType"), text(body, "Type")
    if record not in RECORDS or get(body, "SuppressSending") is False:
        return []
    type_, recipient_field, time_field = RECORDS[record]
    permanent, reason = False, None
    codes = reply_codes(get(body, "Details"))
    if type_ is EventType.BOUNCED:
        type_, permanent, reason = BOUNCES.get(kind, (type_, SOFT, None))
        reason = reason or (reason_of(codes) if type_ is EventType.BOUNCED else None)
    elif type_ is EventType.SUPPRESSED:
        reason = SUPPRESSIONS.get(text(body, "SuppressionReason"), Reason.OTHER)
    event = Event(
        type_,
        account,
        f"{record} {kind} {text(body, time_field)}",  # only bounces have an id
        iso_time(body, time_field, default=now),
        message_id=text(body, "Metadata", "message_id"),
        provider_id=text(body, "MessageID"),
        recipient=text(body, recipient_field),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
