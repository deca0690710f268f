"""Aliyun Direct Mail's events, posted by EventBridge: https://www.alibabacloud.com/help/en/direct-mail/user-guide/event-notifications

EventBridge signs with RSA, in two generations for which no test vector is published (2026-11). So the HTTP target's
address ends with a secret, or its token is the secret.
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

TYPES = {
    "dm:Deliver:Succeed": EventType.DELIVERED,
    "dm:Deliver:Fail": EventType.BOUNCED,
    "dm:Feedback:FblReport": EventType.COMPLAINED,
    "dm:Feedback:UnSubscribe": EventType.UNSUBSCRIBED,
    "dm:Trace:Open": EventType.OPENED,
    "dm:Trace:Click": EventType.CLICKED,
}
REASONS = {"SmtpNxBox": Reason.NO_MAILBOX}  # the only documented one; for the others, the reply codes decide


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    require_shared_secret(request, secrets["secret"], "x-eventbridge-signature-token")
    return Report(parse(body_of(request), account, request.received_at))


def parse(body: Mapping[str, Any], account: str, now: float) -> list[Event]:
    type_, data = TYPES.get(text(body, "type")), get(body, "data")
    if type_ is None:
        return []
    codes, reason = reply_codes(get(data, "err_msg")) or reply_codes(get(data, "err_code")), None
    if type_ is EventType.BOUNCED:
        reason = REASONS.get(text(data, "failed_type")) or reason_of(codes)
    event = Event(
        type_,
        account,
        text(body, "id"),
        iso_time(body, "time", default=now),  # the one with a time zone
        message_id=_own_header(data, "message-id"),
        provider_id=text(data, "env_id"),
        recipient=text(data, "rcpt"),
        permanent=type_ is EventType.BOUNCED and codes.startswith("5"),
        reason=reason,
        detail=codes,
    )
    return [event]


def _own_header(data: Any, name: str) -> str:
    """Return a header that we sent as X-User-Notify-…; the documentation's example comes back without `User`."""
    headers = get(data, "header")
    items = headers.items() if isinstance(headers, Mapping) else ()
    names = (f"x-user-notify-{name}", f"x-notify-{name}")
    return next((value for header, value in items if header.lower() in names and isinstance(value, str)), "")
