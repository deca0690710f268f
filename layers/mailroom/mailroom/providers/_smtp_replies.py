"""SMTP replies: the error that a reply means, and the id that a relay gives a mail."""

import re

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.redaction import redact, remove_quotes
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case

__all__ = ["error_of_reply", "relay_id"]

PARTY = "smtp"
MAX_ID_TEXT_LENGTH = 80

# Texts come before numbers, because relays report permanent failures with temporary numbers: Resend has answered 450
# for an unverified domain and for a used-up quota (seen 2025), Aliyun 436 for a sender that is not the login's.
# https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html
ERRORS = (
    Case(message=r"^4\d\d 4\.2\.2\b", error=TemporaryFailure, code="mailbox_full"),
    Case(message=r"^5\d\d 5\.2\.2\b", error=PermanentFailure, code="mailbox_full"),
    Case(
        message=r"\b(?:daily|per day)\b.*\b(?:quota|limit)|\bquota\b.*\bdaily\b",
        error=TemporaryFailure,
        code="daily_quota",
        retry_after=QUOTA_RETRY_SECONDS,
    ),
    Case(
        message=r"\bmonthly\b.*\b(?:quota|limit)|\bcredits exceeded",
        error=TemporaryFailure,
        code="monthly_quota",
        retry_after=QUOTA_RETRY_SECONDS,
    ),
    Case(
        message=r"throttl|rate exceeded|rate limit|too many (?:messages|requests)",
        error=TemporaryFailure,
        code="rate_limited",
        retry_after=1.0,
    ),
    Case(message=r"^421", error=TemporaryFailure, code="busy"),
    Case(message=r"only send testing emails", error=ConfigurationError, code="test_mode"),
    Case(message=r"\b(?:is|are) not verified", error=ConfigurationError, code="unverified_sender"),
    Case(message=r"^436|^553 5\.7\.1\b", error=ConfigurationError, code="invalid_sender"),
    Case(message=r"^53[0458]\b", error=ConfigurationError, code="bad_key"),
    Case(stages=("auth",), message=r"^5", error=ConfigurationError, code="bad_key"),
    Case(
        stages=("mail", "answer"),
        message=r"^5.*\b(?:suspended|paused|disabled)",
        error=ConfigurationError,
        code="suspended",
    ),
    Case(
        message=r"relay\w* (?:is |access )?(?:denied|not (?:permitted|allowed))|unable to relay",
        error=ConfigurationError,
        code="forbidden",
    ),
    Case(
        stages=("mail", "answer"),
        message=r"^5.*(?:access denied|not authori[sz]ed)",
        error=ConfigurationError,
        code="forbidden",
    ),
    Case(message=r"^55[27]|^5\d\d 5\.3\.4\b", error=PermanentFailure, code="too_large"),
    Case(stages=("connect", "ehlo", "tls"), message=r"^5", error=ConfigurationError, code="forbidden"),
    Case(stages=("mail",), message=r"^5", error=ConfigurationError, code="invalid_sender"),
    Case(stages=("rcpt",), message=r"^5", error=PermanentFailure, code="invalid_recipient"),
    Case(message=r"^5", error=PermanentFailure, code="refused"),
    Case(message=r"^4.*gr[ae]y-?list", error=TemporaryFailure, code="greylisted"),
    Case(message=r"^4", error=TemporaryFailure, code="try_later"),
)
RETRY_AFTER = re.compile(r"\b(?:in|after|for) (\d{1,5}) ?(s|m|h)(?:ec|in|our|\b)", re.IGNORECASE)
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
IDS = (
    re.compile(r"\bqueued as <?([\w.+-]+)", re.IGNORECASE),  # Postfix and its many relatives
    re.compile(r"\bid=<?([\w.+-]+)", re.IGNORECASE),  # Exim
    # SES: `250 Ok 0100…`
    re.compile(r"^(?:2\.\d{1,3}\.\d{1,3} )?(?:ok|accepted|queued)?:?\s*<?([\w.+-]{8,})>?$", re.IGNORECASE),
)


def error_of_reply(stage: str, code: int, reply: bytes, email: Email) -> DeliveryError:
    """Return the error that a reply means, by the first row of the table that fits, without quotes of the mail."""
    text = " ".join(reply.decode(errors="replace").split())
    detail = f"{stage}: {code} {redact(text, email)}"
    if not 400 <= code < 600:
        kind = UnknownOutcome if stage == "answer" else TemporaryFailure
        return kind(PARTY, "garbage", f"unexpected reply at {detail}")
    # The class of an enhanced status code (RFC 3463) is more reliable than the number before it.
    enhanced = re.match(r"([45])\.\d{1,3}\.\d{1,3}\b", text)
    line = f"{enhanced[1] if enhanced and code != 421 else code // 100}{code % 100:02} {text}"
    case = next(case for case in ERRORS if case.fits(message=line, stage=stage))
    waits = [seconds for seconds in (_retry_after(text), case.retry_after) if seconds is not None]
    retry_after = max(waits, default=None) if case.error is TemporaryFailure else None
    return case.error(PARTY, case.code, detail, retry_after=retry_after)


def relay_id(reply: bytes, email: Email) -> str:
    """Return the id that the relay gives the mail in its 250 reply; without one, the reply without private parts."""
    text = " ".join(reply.decode(errors="replace").split())
    if "@" in text:
        text = re.sub(r"\S*@\S*", "", text).strip()
    for pattern in IDS:
        if match := pattern.search(text):
            return match[1]
    return remove_quotes(re.sub(r"^2\.\d{1,3}\.\d{1,3} ", "", text).strip(), email)[:MAX_ID_TEXT_LENGTH]


def _retry_after(text: str) -> float | None:
    match = RETRY_AFTER.search(text)
    return float(match[1]) * UNIT_SECONDS[match[2].lower()] if match else None
