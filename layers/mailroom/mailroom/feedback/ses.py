"""Amazon SES's events: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html

EventBridge or SNS invokes the function with them, so IAM authenticates them and no signature is checked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.feedback._amazon import bounce
from mailroom.feedback._json_access import bare_address, own_header
from mailroom.feedback._reply_codes import reply_codes
from mailroom.model.event import Event, EventType, Reason
from mailroom.request import parse_json
from mailroom.webhooks.json_access import get, iso_time, text

__all__ = ["from_aws"]

# By eventType: the field with the particulars, and the event type. Notifications that are set up on an identity have
# the same names under `notificationType`. Send and Subscription are ignored.
TYPES = {
    "Delivery": ("delivery", EventType.DELIVERED),
    "DeliveryDelay": ("deliveryDelay", EventType.DEFERRED),
    "Bounce": ("bounce", EventType.BOUNCED),
    "Complaint": ("complaint", EventType.COMPLAINED),
    "Reject": ("reject", EventType.REJECTED),
    "Rendering Failure": ("failure", EventType.FAILED),
    "Open": ("open", EventType.OPENED),
    "Click": ("click", EventType.CLICKED),
}
RECIPIENTS = ("bouncedRecipients", "complainedRecipients", "delayedRecipients")
ON_SUPPRESSION_LIST = "OnAccountSuppressionList"


def from_aws(event: Mapping[str, Any], now: float) -> list[Event]:
    """Return the events of an invocation by EventBridge or SNS."""
    if event.get("source") == "aws.ses":
        return parse(event.get("detail"), "ses", now)
    records = event.get("Records")
    messages = [_message_of(record) for record in records] if isinstance(records, list) else []
    return [parsed for message in messages for parsed in parse(parse_json(message), "ses", now)]


def _message_of(record: Any) -> bytes:
    message = get(record, "Sns", "Message")
    if not isinstance(message, str):
        raise RequestError(400, "This is not an event that SES sends through SNS or EventBridge.")
    return message.encode("utf-8", "surrogatepass")


def parse(body: Any, account: str, now: float) -> list[Event]:
    """Return the events of a body: a bounce can be about several recipients, and is one event for each."""
    kind = text(body, "eventType") or text(body, "notificationType")
    if kind not in TYPES:
        return []
    field, type_ = TYPES[kind]
    particulars, mail = get(body, field), get(body, "mail")
    at = iso_time(particulars, "timestamp", default=iso_time(mail, "timestamp", default=now))
    events = []
    for number, recipient in enumerate(_recipients(particulars, mail)):
        codes = reply_codes(get(recipient, "diagnosticCode")) or reply_codes(get(recipient, "status"))
        precise_type, reason = _type_and_reason(type_, particulars, codes)
        events.append(
            Event(
                precise_type,
                account,
                f"{text(particulars, 'feedbackId') or text(particulars, 'timestamp')} {kind} {number}",
                at,
                message_id=_tag(mail, "message_id"),
                provider_id=text(mail, "messageId"),
                recipient=bare_address(text(recipient, "emailAddress")),
                permanent=text(particulars, "bounceType") == "Permanent",
                reason=reason,
                detail=codes,
            )
        )
    return events


def _type_and_reason(type_: EventType, particulars: Any, codes: str) -> tuple[EventType, Reason | None]:
    match type_:
        case EventType.BOUNCED:
            return bounce(text(particulars, "bounceSubType"), codes)
        case EventType.COMPLAINED if text(particulars, "complaintSubType") == ON_SUPPRESSION_LIST:
            return EventType.SUPPRESSED, Reason.PREVIOUS_COMPLAINT
        case EventType.REJECTED:
            return type_, Reason.CONTENT  # a virus: SES rejects for nothing else
        case EventType.FAILED:
            return type_, Reason.OTHER
    return type_, None


def _recipients(particulars: Any, mail: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the recipients of one mail that an event is about; an empty one where it names none."""
    for name in RECIPIENTS:
        if isinstance(recipients := get(particulars, name), list) and recipients:
            yield from recipients
            return
    destination = get(mail, "destination")
    is_single = isinstance(destination, list) and len(destination) == 1
    yield {"emailAddress": destination[0]} if is_single else {}


def _tag(mail: Any, name: str) -> str:
    values = get(mail, "tags", name)
    if isinstance(values, list) and values and isinstance(values[0], str):
        return values[0]
    return own_header(get(mail, "headers"), name.replace("_", "-"))
