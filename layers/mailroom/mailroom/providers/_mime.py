"""An Email as the bytes of a MIME message. The same Email and key give the same bytes, so that retries are equal."""

import hashlib
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.charset import BASE64, QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import Compat32
from email.utils import format_datetime

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox

__all__ = ["compose", "encode_header", "format_mailbox"]

MAX_LINE_LENGTH = 78  # characters


class Policy(Compat32):
    """Folds a header only if it is too long: folding every header was a third of the CPU of an SMTP mail (2026-11)."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if len(name) + len(value) + 2 <= MAX_LINE_LENGTH and value.isascii() and value.isprintable():
            return f"{name}: {value}\r\n".encode()
        return super().fold_binary(name, value)


# Not EmailMessage: it breaks a long token, as in List-Unsubscribe, into encoded words (seen in Python 3.11, 2026-11).
POLICY = Policy(linesep="\r\n", max_line_length=MAX_LINE_LENGTH)
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
MAX_TIME = 4102444800.0  # the year 2100: a later time is not a time


def compose(email: Email, key: str, extra: Mapping[str, str]) -> bytes:
    """Return `email` with `extra` headers as MIME bytes; its addresses must be in their wire form."""
    name = hashlib.sha256(f"{key}\n{email.to}".encode()).hexdigest()[:32]
    mime = MIMEMultipart("alternative", boundary=f"=_{name}")
    parts = [(subtype, text) for subtype, text in (("plain", email.text), ("html", email.html)) if text]
    for subtype, text in parts:
        mime.attach(MIMEText(text, subtype, _charset(text)))  # type: ignore[arg-type]
    headers = {
        "From": format_mailbox(email.from_),
        "To": email.to,
        **({"Reply-To": format_mailbox(email.reply_to)} if email.reply_to else {}),
        "Subject": encode_header(email.subject),
        "Date": format_datetime(datetime.fromtimestamp(_time_of(key), UTC)),
        "Message-ID": f"<{name}@{email.from_.address.rpartition('@')[2]}>",
        "Content-Language": email.locale,
        **{header: encode_header(value) for header, value in email.headers.items()},
        **{f"X-Mailroom-{tag.replace('_', '-').title()}": encode_header(value) for tag, value in email.tags.items()},
        **extra,
    }
    for header, value in headers.items():
        mime[header] = value if value.isascii() else value.encode().decode("ascii", "surrogateescape")
    return mime.as_bytes(policy=POLICY)


def format_mailbox(mailbox: Mailbox) -> str:
    """Return a mailbox as a header value, its name encoded if necessary."""
    name = encode_header(mailbox.name)
    return str(mailbox) if name == mailbox.name else f"{name} <{mailbox.address}>"


def encode_header(text: str) -> str:
    """Return `text` as a header value: RFC 2047 words if it is not printable ASCII, or looks like such a word."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    return Header(" ".join(text.splitlines()), "utf-8", maxlinelen=60).encode(linesep="")


def _charset(text: str) -> Charset:
    charset = Charset("utf-8")
    charset.body_encoding = QP if len(text.encode()) < 1.5 * len(text) else BASE64
    return charset


def _time_of(key: str) -> float:
    """Return the time in a message id, so that a retry has the same Date; the present time for any other key."""
    seconds = int(key[:12], 16) / 1000 if MESSAGE_ID.fullmatch(key) else 0.0
    return seconds if 0 < seconds < MAX_TIME else time.time()
