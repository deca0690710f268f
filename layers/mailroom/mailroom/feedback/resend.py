"""Resend's webhooks, signed as Svix does: https://resend.com/docs/webhooks/verify-webhooks-requests"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._amazon import bounce
from mailroom.feedback._json_access import bare_address, body_of, own_header
from mailroom.feedback._reply_codes import reply_codes
from mailroom.model.event import Event, EventType, Reason, Report
from mailroom.request import Request
from mailroom.webhooks.json_access import get, iso_time, text
from mailroom.webhooks.standard_webhooks import require_signature

__all__ = ["NEEDS", "read"]

NEEDS = ("secret",)

# https://resend.com/docs/webhooks/event-types. The others (sent, scheduled, received, contact.*, domain.*) are ignored.
TYPES = {
    "email.delivered": EventType.DELIVERED,
    "email.delivery_delayed": EventType.DEFERRED,
    "email.bounced": EventType.BOUNCED,
    "email.complained": EventType.COMPLAINED,
    "email.suppressed": EventType.SUPPRESSED,
    "email.failed": EventType.FAILED,
    "email.opened": EventType.OPENED,
    "email.clicked": EventType.CLICKED,
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
    id_ = require_signature(request, secrets["secret"], f"feedback/{account}/secret")
    return Report(parse(body_of(request), account, id_, request.received_at))


def parse(body: Mapping[str, Any], account: str, id_: str, now: float) -> list[Event]:
    """Return the event of a body; `id_` is the same for Resend's own retries and for an operator's replays."""
    type_ = TYPES.get(text(body, "type"))
    if type_ is None:
        return []
    particulars, reason = get(body, "data", "bounce"), None
    diagnostics = get(particulars, "diagnosticCode")
    codes = reply_codes(diagnostics[0] if isinstance(diagnostics, list) and diagnostics else None)
    if type_ is EventType.BOUNCED:
        type_, reason = bounce(text(particulars, "subType"), codes)
    elif type_ is EventType.SUPPRESSED:
        reason = SUPPRESSIONS.get(text(body, "data", "suppressed", "reason"), Reason.OTHER)
    elif type_ is EventType.FAILED:
        reason = FAILURES.get(text(body, "data", "failed", "reason"), Reason.OTHER)
    recipients, headers = get(body, "data", "to"), get(body, "data", "headers")
    event = Event(
        type_,
        account,
        id_,
        iso_time(body, "created_at", default=now),
        message_id=text(body, "data", "tags", "message_id") or own_header(headers, "message-id"),
        provider_id=text(body, "data", "email_id"),
        # With several recipients, nothing shows which one the event is about; our mails have one.
        recipient=bare_address(str(recipients[0])) if isinstance(recipients, list) and len(recipients) == 1 else "",
        permanent=text(particulars, "type") == "Permanent",
        reason=reason,
        detail=codes,
    )
    return [event]
