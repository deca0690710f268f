"""An event: what a provider reports about one message, in the same terms for every provider."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailroom.model.outcome import Status

__all__ = ["Event", "EventEffect", "EventType", "Reason", "Report"]


class EventType(StrEnum):
    """Everything that a provider can report."""

    DELIVERED = "delivered"  # the recipient's server accepted it
    DEFERRED = "deferred"  # not accepted yet; the provider retries
    BOUNCED = "bounced"  # the recipient's server refused it, or never accepted it
    COMPLAINED = "complained"  # the recipient marked it as spam
    SUPPRESSED = "suppressed"  # the provider did not send it: the address is on its own suppression list
    REJECTED = "rejected"  # the provider accepted it and then refused to send it
    FAILED = "failed"  # the provider accepted it and then could not send it
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def status(self) -> Status | None:
        """The message status that this event implies, if any."""
        return IMPLIED_STATUS.get(self)


IMPLIED_STATUS = {
    EventType.DELIVERED: Status.DELIVERED,
    EventType.BOUNCED: Status.BOUNCED,
    EventType.COMPLAINED: Status.COMPLAINED,
    EventType.SUPPRESSED: Status.FAILED,
    EventType.REJECTED: Status.FAILED,
    EventType.FAILED: Status.FAILED,
}
RECORDED_ONCE = (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED)  # a mail is opened many times


class Reason(StrEnum):
    """Why a mail did not arrive, as far as its provider reports it."""

    NO_MAILBOX = "no_mailbox"
    MAILBOX_FULL = "mailbox_full"
    TOO_LARGE = "too_large"
    CONTENT = "content"  # spam, or a virus
    BLOCKED = "blocked"  # the sender: reputation, policy, authentication
    UNREACHABLE = "unreachable"  # DNS, routing, a server that does not answer
    AUTO_REPLY = "auto_reply"  # it arrived, and an absence note came back
    PREVIOUS_BOUNCE = "previous_bounce"
    PREVIOUS_COMPLAINT = "previous_complaint"
    UNSUBSCRIBED = "unsubscribed"
    QUOTA = "quota"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Repetitions share its `id`; the address is only here to be suppressed, and never recorded."""

    type: EventType
    provider: str  # the account that reports, such as `resend` or `resend.acme`
    id: str
    at: float
    message_id: str = ""  # ours, where the provider returned it
    provider_id: str = ""
    recipient: str = ""
    permanent: bool = False
    reason: Reason | None = None
    detail: str = ""

    @property
    def is_soft_bounce(self) -> bool:
        return self.type is EventType.BOUNCED and not self.permanent

    @property
    def account_owner(self) -> str:
        """The tenant whose account reports: `resend.acme` is Acme's, `resend` everybody's."""
        return self.provider.partition(".")[2]

    @property
    def dedup_key(self) -> str:
        """The key under which an event is recorded once in the row of its message."""
        identity = self.type if self.type in RECORDED_ONCE else self.id
        return hashlib.sha256(f"{self.provider} {identity}".encode("utf-8", "surrogatepass")).hexdigest()[:10]

    def can_be_about_mail_of(self, carrier: str) -> bool:
        """Return whether the account that reports can know of mail sent through the account `carrier`.

        A provider behind an SMTP relay reports under its own name, for the same owner. SES reports under one name for
        all accounts, because IAM authenticates it.
        """
        kind, _, owner = carrier.partition(".")
        if self.provider == "ses":
            return kind in ("ses", "smtp")
        return carrier == self.provider or (kind == "smtp" and owner == self.account_owner)


class EventEffect(StrEnum):
    """The effect of an event on the ledger: only a new one changes it."""

    NEW = "new"
    REPEATED = "repeated"  # recorded before, or one more than the timeline takes
    UNKNOWN = "unknown"  # about a message that is not in the ledger, or no longer
    OTHER_ACCOUNT = "foreign"  # from an account that cannot have the message


@dataclass(frozen=True, slots=True)
class Report:
    """The events of one request. A `token`, where there is one, is valid for one `body` and no other."""

    events: Sequence[Event] = ()
    token: str = ""
    body: bytes = b""
