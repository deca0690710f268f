"""Aliyun Direct Mail's events, posted by EventBridge: https://www.alibabacloud.com/help/en/direct-mail/user-guide/event-notifications

EventBridge signs with RSA, in two generations for which no test vector is published (2026-11). So the HTTP target's
address ends with a secret, or its token is the secret.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.feedback._authentication import require_shared_secret
from mailroom.feedback._fields import body_of, dig, moment, text
from mailroom.model.event import Event, Reason, Report, What, reason_in, replies
from mailroom.request import Request

NEEDS = ("secret",)

TYPES = {
    "dm:Deliver:Succeed": What.DELIVERED,
    "dm:Deliver:Fail": What.BOUNCED,
    "dm:Feedback:FblReport": What.COMPLAINED,
    "dm:Feedback:UnSubscribe": What.UNSUBSCRIBED,
    "dm:Trace:Open": What.OPENED,
    "dm:Trace:Click": What.CLICKED,
}
FAILURES = {"SmtpNxBox": Reason.NO_MAILBOX}  # the one that is documented; the codes speak for the others


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    require_shared_secret(request, secrets["secret"], "x-eventbridge-signature-token")
    return Report(parse(body_of(request), account, request.received_at))


def parse(body: Mapping[str, Any], account: str, now: float) -> list[Event]:
    what, data = TYPES.get(text(body, "type")), dig(body, "data")
    if what is None:
        return []
    codes, reason = replies(dig(data, "err_msg")) or replies(dig(data, "err_code")), None
    if what is What.BOUNCED:
        reason = FAILURES.get(text(data, "failed_type")) or reason_in(codes)
    event = Event(
        what,
        account,
        text(body, "id"),
        moment(body, "time", default=now),  # the one with a time zone
        message_id=_own_header(data, "message-id"),
        provider_id=text(data, "env_id"),
        recipient=text(data, "rcpt"),
        tenant=_own_header(data, "tenant"),
        permanent=what is What.BOUNCED and codes.startswith("5"),
        reason=reason,
        detail=codes,
    )
    return [event]


def _own_header(data: Any, name: str) -> str:
    """Return a header that we sent as X-User-Notify-…; the documentation's example comes back without `User`."""
    headers = dig(data, "header")
    items = headers.items() if isinstance(headers, Mapping) else ()
    names = (f"x-user-notify-{name}", f"x-notify-{name}")
    return next((value for header, value in items if header.lower() in names and isinstance(value, str)), "")
