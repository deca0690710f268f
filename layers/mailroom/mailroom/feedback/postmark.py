"""Postmark's webhooks: https://postmarkapp.com/developer/webhooks/webhooks-overview

They are not signed. The address they are posted to ends with a secret, or carries it as a Basic password; or the
webhook is given a header `X-Mailroom-Secret`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._authentication import require_shared_secret
from mailroom.feedback._fields import body_of, dig, moment, text
from mailroom.model.event import Event, Reason, Report, What, reason_in, replies
from mailroom.request import Request

NEEDS = ("secret",)

# By RecordType: what it is, and which fields hold the recipient and the time.
RECORDS = {
    "Delivery": (What.DELIVERED, "Recipient", "DeliveredAt"),
    "Bounce": (What.BOUNCED, "Email", "BouncedAt"),
    "SpamComplaint": (What.COMPLAINED, "Email", "BouncedAt"),
    "Open": (What.OPENED, "Recipient", "ReceivedAt"),
    "Click": (What.CLICKED, "Recipient", "ReceivedAt"),
    "SubscriptionChange": (What.SUPPRESSED, "Recipient", "ChangedAt"),
}
# https://postmarkapp.com/developer/api/bounce-api#bounce-types. Where a type is missing here it is a soft bounce.
HARD, SOFT = True, False
BOUNCES = {
    "HardBounce": (What.BOUNCED, HARD, Reason.NO_MAILBOX),
    "BadEmailAddress": (What.BOUNCED, HARD, Reason.NO_MAILBOX),
    "SoftBounce": (What.BOUNCED, SOFT, None),
    "DnsError": (What.BOUNCED, SOFT, Reason.UNREACHABLE),
    "Blocked": (What.BOUNCED, SOFT, Reason.BLOCKED),
    "DMARCPolicy": (What.BOUNCED, SOFT, Reason.BLOCKED),
    "SpamNotification": (What.BOUNCED, SOFT, Reason.BLOCKED),
    "VirusNotification": (What.BOUNCED, SOFT, Reason.CONTENT),
    "Transient": (What.DEFERRED, SOFT, None),
    "AutoResponder": (What.DELIVERED, SOFT, Reason.AUTO_REPLY),
    "SpamComplaint": (What.COMPLAINED, SOFT, None),
    "Unsubscribe": (What.UNSUBSCRIBED, SOFT, None),
    "ManuallyDeactivated": (What.SUPPRESSED, SOFT, Reason.OTHER),
    "SMTPApiError": (What.FAILED, SOFT, Reason.OTHER),
    "TemplateRenderingFailed": (What.FAILED, SOFT, Reason.OTHER),
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
    if record not in RECORDS or dig(body, "SuppressSending") is False:
        return []
    what, recipient, time_of = RECORDS[record]
    permanent, reason = False, None
    codes = replies(dig(body, "Details"))
    if what is What.BOUNCED:
        what, permanent, reason = BOUNCES.get(kind, (what, SOFT, None))
        reason = reason or (reason_in(codes) if what is What.BOUNCED else None)
    elif what is What.SUPPRESSED:
        reason = SUPPRESSIONS.get(text(body, "SuppressionReason"), Reason.OTHER)
    event = Event(
        what,
        account,
        f"{record} {kind} {text(body, time_of)}",  # only a bounce has an id
        moment(body, time_of, default=now),
        message_id=text(body, "Metadata", "message_id"),
        provider_id=text(body, "MessageID"),
        recipient=text(body, recipient),
        tenant=text(body, "Metadata", "tenant"),
        permanent=permanent,
        reason=reason,
        detail=codes,
    )
    return [event]
