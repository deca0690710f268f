"""Amazon's subtypes of a bounce, which Resend uses too.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
"""

from collections.abc import Mapping

from mailroom.feedback._reply_codes import reason_of
from mailroom.model.event import EventType, Reason

__all__ = ["bounce"]

SUBTYPES: Mapping[str, tuple[EventType, Reason | None]] = {
    "General": (EventType.BOUNCED, None),
    "NoEmail": (EventType.BOUNCED, Reason.NO_MAILBOX),
    "MailboxFull": (EventType.BOUNCED, Reason.MAILBOX_FULL),
    "MessageTooLarge": (EventType.BOUNCED, Reason.TOO_LARGE),
    "ContentRejected": (EventType.BOUNCED, Reason.CONTENT),
    "AttachmentRejected": (EventType.BOUNCED, Reason.CONTENT),
    "CustomTimeoutExceeded": (EventType.BOUNCED, Reason.UNREACHABLE),
    "Suppressed": (EventType.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "OnAccountSuppressionList": (EventType.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "UnsubscribedRecipient": (EventType.SUPPRESSED, Reason.UNSUBSCRIBED),
}


def bounce(subtype: str, codes: str) -> tuple[EventType, Reason]:
    """Return the event type and the reason of a bounce: by its subtype, or else by the receiving server's codes."""
    type_, reason = SUBTYPES.get(subtype, (EventType.BOUNCED, None))
    return type_, reason or reason_of(codes)
