"""Amazon SES's events: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html

EventBridge or SNS invokes the function with them, so IAM is the proof and no signature is checked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.feedback._amazon import bounce
from mailroom.feedback._fields import address_in, dig, header_of_ours, moment, text
from mailroom.model.event import Event, Reason, What, replies
from mailroom.request import parse_json

__all__ = ["from_aws", "parse"]

# Where each type keeps its particulars, and what it is to us. Notifications set up on an identity are called the same,
# under `notificationType`. Send and Subscription are no news.
TYPES = {
    "Delivery": ("delivery", What.DELIVERED),
    "DeliveryDelay": ("deliveryDelay", What.DEFERRED),
    "Bounce": ("bounce", What.BOUNCED),
    "Complaint": ("complaint", What.COMPLAINED),
    "Reject": ("reject", What.REJECTED),
    "Rendering Failure": ("failure", What.FAILED),
    "Open": ("open", What.OPENED),
    "Click": ("click", What.CLICKED),
}
RECIPIENTS = ("bouncedRecipients", "complainedRecipients", "delayedRecipients")
LISTED = "OnAccountSuppressionList"


def from_aws(event: Mapping[str, Any], now: float) -> list[Event]:
    """Return what SNS or EventBridge hands to the function."""
    if event.get("source") == "aws.ses":
        return parse(event.get("detail"), "ses", now)
    records = event.get("Records")
    said = [text_of(record) for record in records] if isinstance(records, list) else []
    return [found for message in said for found in parse(parse_json(message), "ses", now)]


def text_of(record: Any) -> bytes:
    message = dig(record, "Sns", "Message")
    if not isinstance(message, str):
        raise RequestError(400, "This is not an event that SES sends through SNS or EventBridge.")
    return message.encode("utf-8", "surrogatepass")


def parse(body: Any, account: str, now: float) -> list[Event]:
    """One bounce can be about several recipients: each is an event."""
    kind = text(body, "eventType") or text(body, "notificationType")
    if kind not in TYPES:
        return []
    particulars, what = TYPES[kind]
    said, mail = dig(body, particulars), dig(body, "mail")
    at = moment(said, "timestamp", default=moment(mail, "timestamp", default=now))
    events = []
    for number, recipient in enumerate(_recipients(said, mail)):
        codes = replies(dig(recipient, "diagnosticCode")) or replies(dig(recipient, "status"))
        happened, reason = _what(what, said, codes)
        events.append(
            Event(
                happened,
                account,
                f"{text(said, 'feedbackId') or text(said, 'timestamp')} {kind} {number}",
                at,
                message_id=_tag(mail, "message_id"),
                provider_id=text(mail, "messageId"),
                recipient=address_in(text(recipient, "emailAddress")),
                tenant=_tag(mail, "tenant"),
                permanent=text(said, "bounceType") == "Permanent",
                reason=reason,
                detail=codes,
            )
        )
    return events


def _what(what: What, said: Any, codes: str) -> tuple[What, Reason | None]:
    match what:
        case What.BOUNCED:
            return bounce(text(said, "bounceSubType"), codes)
        case What.COMPLAINED if text(said, "complaintSubType") == LISTED:
            return What.SUPPRESSED, Reason.PREVIOUS_COMPLAINT
        case What.REJECTED:
            return what, Reason.CONTENT  # a virus: SES rejects for nothing else
        case What.FAILED:
            return what, Reason.OTHER
    return what, None


def _recipients(said: Any, mail: Any) -> Iterator[Mapping[str, Any]]:
    """Yield who an event is about, as far as it tells; all are of one mail."""
    for name in RECIPIENTS:
        if isinstance(found := dig(said, name), list) and found:
            yield from found
            return
    destination = dig(mail, "destination")
    alone = isinstance(destination, list) and len(destination) == 1
    yield {"emailAddress": destination[0]} if alone and isinstance(destination, list) else {}


def _tag(mail: Any, name: str) -> str:
    values = dig(mail, "tags", name)
    if isinstance(values, list) and values and isinstance(values[0], str):
        return values[0]
    return header_of_ours(dig(mail, "headers"), name.replace("_", "-"))
