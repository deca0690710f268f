"""The codes in the reply of a receiving server, and the reason that they give."""

import re

from mailroom.model.event import Reason

__all__ = ["reason_of", "reply_codes"]

# The reply of a receiving server may quote the mail, and anyone may run such a server: only its codes are kept.
BASIC_CODE = re.compile(r"\s*(?:smtp;\s*)?([245]\d\d)(?!\d)")
ENHANCED_CODE = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?![\w.])")
# https://www.iana.org/assignments/smtp-enhanced-status-codes: the class is how final it is, the rest is why.
REASONS_BY_CODE = (
    (re.compile(r"5\.1\.[1236]|[45]\.2\.1|5\.5\.0\b"), Reason.NO_MAILBOX),
    (re.compile(r"[45]\.2\.2|[45]\.3\.1|\b[45]52$"), Reason.MAILBOX_FULL),
    (re.compile(r"[45]\.2\.3|[45]\.3\.4"), Reason.TOO_LARGE),
    (re.compile(r"[45]\.6\."), Reason.CONTENT),
    (re.compile(r"[45]\.7\.|5\.1\.[78]"), Reason.BLOCKED),
    (re.compile(r"[45]\.4\.|4\.1\.|^421$"), Reason.UNREACHABLE),
    (re.compile(r"^55[013]$"), Reason.NO_MAILBOX),
)


def reason_of(codes: str) -> Reason:
    """Return why a receiving server refused a mail, as far as its reply codes show it."""
    return next((reason for pattern, reason in REASONS_BY_CODE if pattern.search(codes)), Reason.OTHER)


def reply_codes(text: object) -> str:
    """Return the codes in the reply of a receiving server, such as `550 5.1.1`."""
    if not isinstance(text, str):
        return ""
    matches = (BASIC_CODE.match(text), ENHANCED_CODE.search(text))
    return " ".join(match[match.lastindex or 0] for match in matches if match)
