"""An event: what a provider reports of one mail, in our words whoever reports it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailroom.model.outcome import Status

__all__ = ["Event", "Reason", "Report", "What", "reason_in", "replies"]

# A receiving server's own sentence may quote the mail, and anyone may run one: of it only the reply codes are kept.
BASIC = re.compile(r"\s*(?:smtp;\s*)?([245]\d\d)(?!\d)")
ENHANCED = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?![\w.])")


class What(StrEnum):
    """Everything that can be reported."""

    DELIVERED = "delivered"  # the reader's server took it
    DEFERRED = "deferred"  # not yet; the provider tries again
    BOUNCED = "bounced"  # the reader's server refused it, or never took it
    COMPLAINED = "complained"  # the reader called it spam
    SUPPRESSED = "suppressed"  # the provider did not send it: the address is on a list of its own
    REJECTED = "rejected"  # the provider took it and then would not send it
    FAILED = "failed"  # the provider took it and then could not send it
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def status(self) -> Status | None:
        """What a message has come to by it, if to anything."""
        return REACHED.get(self)


REACHED = {
    What.DELIVERED: Status.DELIVERED,
    What.BOUNCED: Status.BOUNCED,
    What.COMPLAINED: Status.COMPLAINED,
    What.SUPPRESSED: Status.FAILED,
    What.REJECTED: Status.FAILED,
    What.FAILED: Status.FAILED,
}
ONCE = (What.OPENED, What.CLICKED, What.UNSUBSCRIBED)  # a mail is opened many times; that it was is news once


class Reason(StrEnum):
    """Why a mail did not arrive, as far as its provider says."""

    NO_MAILBOX = "no_mailbox"
    MAILBOX_FULL = "mailbox_full"
    TOO_LARGE = "too_large"
    CONTENT = "content"  # what it says, or a virus
    BLOCKED = "blocked"  # who says it: reputation, policy, authentication
    UNREACHABLE = "unreachable"  # DNS, routing, a server that does not answer
    AUTO_REPLY = "auto_reply"  # it arrived, and an absence note came back
    PREVIOUS_BOUNCE = "previous_bounce"
    PREVIOUS_COMPLAINT = "previous_complaint"
    UNSUBSCRIBED = "unsubscribed"
    QUOTA = "quota"
    OTHER = "other"


# https://www.iana.org/assignments/smtp-enhanced-status-codes: the class tells how final it is, the rest tells why.
BY_CODE = (
    (re.compile(r"5\.1\.[1236]|[45]\.2\.1|5\.5\.0\b"), Reason.NO_MAILBOX),
    (re.compile(r"[45]\.2\.2|[45]\.3\.1|\b[45]52$"), Reason.MAILBOX_FULL),
    (re.compile(r"[45]\.2\.3|[45]\.3\.4"), Reason.TOO_LARGE),
    (re.compile(r"[45]\.6\."), Reason.CONTENT),
    (re.compile(r"[45]\.7\.|5\.1\.[78]"), Reason.BLOCKED),
    (re.compile(r"[45]\.4\.|4\.1\.|^421$"), Reason.UNREACHABLE),
    (re.compile(r"^55[013]$"), Reason.NO_MAILBOX),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One report. `id` is what repeats of it share; an address only travels in here to be suppressed."""

    what: What
    provider: str
    id: str
    at: float
    message_id: str = ""  # our own, where the provider carried it
    provider_id: str = ""
    recipient: str = ""
    tenant: str = ""
    permanent: bool = False
    reason: Reason | None = None
    detail: str = ""

    @property
    def account_owner(self) -> str:
        """Return the tenant whose account reports: `resend.acme` is Acme's, `resend` everybody's."""
        return self.provider.partition(".")[2]

    def can_be_about_mail_of(self, carrier: str) -> bool:
        """Return whether the account that reports can know of mail sent through the account `carrier`.

        A provider behind an SMTP relay reports under its own name, for the same owner. SES reports under one name for
        all accounts, because IAM authenticates it.
        """
        kind, _, owner = carrier.partition(".")
        if self.provider == "ses":
            return kind in ("ses", "smtp")
        return carrier == self.provider or (kind == "smtp" and owner == self.account_owner)

    @property
    def mark(self) -> str:
        """What it leaves on a message's row, so that it is written down once."""
        said = self.what if self.what in ONCE else self.id
        return hashlib.sha256(f"{self.provider} {said}".encode("utf-8", "surrogatepass")).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class Report:
    """What one request told. A `token`, where there is one, is good for one `body` and no other."""

    events: Sequence[Event] = ()
    token: str = ""
    body: bytes = b""


def reason_in(codes: str) -> Reason:
    """Return why a receiving server refused, as far as its reply codes tell."""
    return next((reason for pattern, reason in BY_CODE if pattern.search(codes)), Reason.OTHER)


def replies(text: object) -> str:
    """Return the reply codes in what a receiving server said, such as `550 5.1.1`."""
    if not isinstance(text, str):
        return ""
    found = (BASIC.match(text), ENHANCED.search(text))
    return " ".join(match[match.lastindex or 0] for match in found if match)
