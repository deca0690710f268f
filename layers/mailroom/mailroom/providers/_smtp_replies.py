"""What an SMTP relay's replies amount to. Its numbers alone do not tell."""

import re
from typing import NamedTuple

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome

__all__ = ["ERRORS", "name_given", "refusal"]

PARTY = "smtp"
QUOTA_WAIT = 3600.0  # no relay says when a used-up quota comes back: ask again in an hour


class Case(NamedTuple):
    """One row: `reply` is looked for, in any case, in a line like `550 5.1.1 user unknown`."""

    stages: str  # during which of connect, ehlo, tls, auth, mail, rcpt, data, answer; empty: any
    reply: str
    error: type[DeliveryError]
    code: str
    wait: float | None = None


# Words come before numbers, because relays give lasting refusals passing numbers: Resend has answered 450 for an
# unverified domain and for a spent quota (seen 2025), Aliyun 436 for a sender that is not the login's.
# https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html
ERRORS = (
    Case("", r"^4\d\d 4\.2\.2\b", TemporaryFailure, "mailbox_full"),
    Case("", r"^5\d\d 5\.2\.2\b", PermanentFailure, "mailbox_full"),
    Case(
        "",
        r"\b(?:daily|per day)\b.*\b(?:quota|limit)|\bquota\b.*\bdaily\b",
        TemporaryFailure,
        "daily_quota",
        QUOTA_WAIT,
    ),
    Case("", r"\bmonthly\b.*\b(?:quota|limit)|\bcredits exceeded", TemporaryFailure, "monthly_quota", QUOTA_WAIT),
    Case("", r"throttl|rate exceeded|rate limit|too many (?:messages|requests)", TemporaryFailure, "rate_limited", 1.0),
    Case("", r"^421", TemporaryFailure, "busy"),
    Case("", r"only send testing emails", ConfigurationError, "test_mode"),
    Case("", r"\b(?:is|are) not verified", ConfigurationError, "unverified_sender"),
    Case("", r"^436|^553 5\.7\.1\b", ConfigurationError, "invalid_sender"),
    Case("", r"^53[0458]\b", ConfigurationError, "bad_key"),
    Case("auth", r"^5", ConfigurationError, "bad_key"),
    Case("mail answer", r"^5.*\b(?:suspended|paused|disabled)", ConfigurationError, "suspended"),
    Case(
        "",
        r"relay\w* (?:is |access )?(?:denied|not (?:permitted|allowed))|unable to relay",
        ConfigurationError,
        "forbidden",
    ),
    Case("mail answer", r"^5.*(?:access denied|not authori[sz]ed)", ConfigurationError, "forbidden"),
    Case("", r"^55[27]|^5\d\d 5\.3\.4\b", PermanentFailure, "too_large"),
    Case("connect ehlo tls", r"^5", ConfigurationError, "forbidden"),
    Case("mail", r"^5", ConfigurationError, "invalid_sender"),
    Case("rcpt", r"^5", PermanentFailure, "invalid_recipient"),
    Case("", r"^5", PermanentFailure, "refused"),
    Case("", r"^4.*gr[ae]y-?list", TemporaryFailure, "greylisted"),
    Case("", r"^4", TemporaryFailure, "try_later"),
)
WAIT = re.compile(r"\b(?:in|after|for) (\d{1,5}) ?(s|m|h)(?:ec|in|our|\b)", re.IGNORECASE)
SECONDS = {"s": 1, "m": 60, "h": 3600}
NAMES = (
    re.compile(r"\bqueued as <?([\w.+-]+)", re.IGNORECASE),  # Postfix and its many kin
    re.compile(r"\bid=<?([\w.+-]+)", re.IGNORECASE),  # Exim
    re.compile(r"^(?:ok|accepted|queued)?:?\s*<?([\w.+-]{8,})>?$", re.IGNORECASE),  # SES: `250 Ok 0100…`
)


def refusal(stage: str, code: int, text: bytes) -> DeliveryError:
    """Return what a reply amounts to, by the first row of the table that fits."""
    said = " ".join(text.decode(errors="replace").split())
    if not 400 <= code < 600:
        kind = UnknownOutcome if stage == "answer" else TemporaryFailure
        return kind(PARTY, "garbage", f"not a reply to expect at {stage}: {code} {said}")
    # An enhanced code (RFC 3463) tells lasting from passing more reliably than the number before it.
    enhanced = re.match(r"([45])\.\d{1,3}\.\d{1,3}\b", said)
    reply = f"{enhanced[1] if enhanced and code != 421 else code // 100}{code % 100:02} {said}"
    case = next(case for case in ERRORS if _fits(case, stage, reply))
    wait = max((seconds for seconds in (_wait_asked(said), case.wait) if seconds is not None), default=None)
    detail = f"{stage}: {code} {said}"
    return case.error(PARTY, case.code, detail, retry_after=wait if case.error is TemporaryFailure else None)


def name_given(answer: bytes) -> str:
    """Find the name the relay gave the mail in what follows its 250; failing that, its words, without an address."""
    said = re.sub(r"^2\.\d{1,3}\.\d{1,3} |\S*@\S*", "", " ".join(answer.decode(errors="replace").split())).strip()
    found = next((match[1] for pattern in NAMES if (match := pattern.search(said))), None)
    return found or "".join(char for char in said[:80] if char.isprintable())


def _fits(case: Case, stage: str, reply: str) -> bool:
    return stage in (case.stages or stage).split() and bool(re.search(case.reply, reply, re.IGNORECASE))


def _wait_asked(said: str) -> float | None:
    asked = WAIT.search(said)
    return float(asked[1]) * SECONDS[asked[2].lower()] if asked else None
