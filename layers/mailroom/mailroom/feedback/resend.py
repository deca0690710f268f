"""Resend's webhooks, signed as Svix does: https://resend.com/docs/webhooks/verify-webhooks-requests"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._amazon import bounce
from mailroom.feedback._authentication import require_standard_webhook
from mailroom.feedback._fields import address_in, body_of, dig, header_of_ours, moment, text
from mailroom.model.event import Event, Reason, Report, What, replies
from mailroom.request import Request

NEEDS = ("secret",)

# https://resend.com/docs/webhooks/event-types. The others (sent, scheduled, received, contact.*, domain.*) are no news.
TYPES = {
    "email.delivered": What.DELIVERED,
    "email.delivery_delayed": What.DEFERRED,
    "email.bounced": What.BOUNCED,
    "email.complained": What.COMPLAINED,
    "email.suppressed": What.SUPPRESSED,
    "email.failed": What.FAILED,
    "email.opened": What.OPENED,
    "email.clicked": What.CLICKED,
}
FAILURES = {
    "reached_daily_quota": Reason.QUOTA,
    "reached_monthly_quota": Reason.QUOTA,
}
SUPPRESSIONS = {
    "previous_bounce": Reason.PREVIOUS_BOUNCE,
    "previous_complaint": Reason.PREVIOUS_COMPLAINT,
}


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    id_ = require_standard_webhook(request, secrets["secret"], f"feedback/{account}/secret", "svix")
    return Report(parse(body_of(request), account, id_, request.received_at))


def parse(body: Mapping[str, Any], account: str, id_: str, now: float) -> list[Event]:
    """`id_` stays the same when Resend repeats itself, and when an operator lets it."""
    what = TYPES.get(text(body, "type"))
    if what is None:
        return []
    said, reason = dig(body, "data", "bounce"), None
    diagnostics = dig(said, "diagnosticCode")
    codes = replies(diagnostics[0] if isinstance(diagnostics, list) and diagnostics else None)
    if what is What.BOUNCED:
        what, reason = bounce(text(said, "subType"), codes)
    elif what is What.SUPPRESSED:
        reason = SUPPRESSIONS.get(text(body, "data", "suppressed", "reason"), Reason.OTHER)
    elif what is What.FAILED:
        reason = FAILURES.get(text(body, "data", "failed", "reason"), Reason.OTHER)
    recipients, headers = dig(body, "data", "to"), dig(body, "data", "headers")
    event = Event(
        what,
        account,
        id_,
        moment(body, "created_at", default=now),
        message_id=text(body, "data", "tags", "message_id") or header_of_ours(headers, "message-id"),
        provider_id=text(body, "data", "email_id"),
        # With several recipients it is not said which one it is about; ours has one.
        recipient=address_in(str(recipients[0])) if isinstance(recipients, list) and len(recipients) == 1 else "",
        tenant=text(body, "data", "tags", "tenant") or header_of_ours(headers, "tenant"),
        permanent=text(said, "type") == "Permanent",
        reason=reason,
        detail=codes,
    )
    return [event]
