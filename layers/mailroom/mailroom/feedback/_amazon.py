"""Amazon's words for a bounce, which Resend speaks too.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
"""

from collections.abc import Mapping

from mailroom.model.event import Reason, What, reason_in

__all__ = ["bounce"]

SUBTYPES: Mapping[str, tuple[What, Reason | None]] = {
    "General": (What.BOUNCED, None),
    "NoEmail": (What.BOUNCED, Reason.NO_MAILBOX),
    "MailboxFull": (What.BOUNCED, Reason.MAILBOX_FULL),
    "MessageTooLarge": (What.BOUNCED, Reason.TOO_LARGE),
    "ContentRejected": (What.BOUNCED, Reason.CONTENT),
    "AttachmentRejected": (What.BOUNCED, Reason.CONTENT),
    "CustomTimeoutExceeded": (What.BOUNCED, Reason.UNREACHABLE),
    "Suppressed": (What.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "OnAccountSuppressionList": (What.SUPPRESSED, Reason.PREVIOUS_BOUNCE),
    "UnsubscribedRecipient": (What.SUPPRESSED, Reason.UNSUBSCRIBED),
}


def bounce(subtype: str, codes: str) -> tuple[What, Reason]:
    """Return what a bounce of this subtype is, and why; where that is silent, the receiving server's codes speak."""
    what, reason = SUBTYPES.get(subtype, (What.BOUNCED, None))
    return what, reason or reason_in(codes)
