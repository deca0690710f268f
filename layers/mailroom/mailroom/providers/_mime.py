"""An Email as the bytes of a message: the same Email and key make the same bytes, however often it is tried."""

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

__all__ = ["compose", "encoded", "written"]

LINE = 78  # characters


class Wire(Compat32):
    """Folds a header only where it has to be: a third of what an SMTP mail cost was folding what fits (2026-11)."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if len(name) + len(value) + 2 <= LINE and value.isascii() and value.isprintable():
            return f"{name}: {value}\r\n".encode()
        return super().fold_binary(name, value)


# Not EmailMessage: it breaks a long token, as in List-Unsubscribe, into encoded words (seen in Python 3.11, 2026-11).
WIRE = Wire(linesep="\r\n", max_line_length=LINE)
OUR_ID = re.compile(r"[0-9a-f]{32}")
LATEST = 4102444800.0  # the year 2100: what lies beyond is no time


def compose(email: Email, key: str, extra: Mapping[str, str]) -> bytes:
    """Write `email` with `extra` headers; addresses must be in their wire form already."""
    name = hashlib.sha256(f"{key}\n{email.to}".encode()).hexdigest()[:32]
    letter = MIMEMultipart("alternative", boundary=f"=_{name}")
    parts = [(subtype, text) for subtype, text in (("plain", email.text), ("html", email.html)) if text]
    for subtype, text in parts:
        letter.attach(MIMEText(text, subtype, _charset(text)))  # type: ignore[arg-type]
    headers = {
        "From": written(email.from_),
        "To": email.to,
        **({"Reply-To": written(email.reply_to)} if email.reply_to else {}),
        "Subject": encoded(email.subject),
        "Date": format_datetime(datetime.fromtimestamp(_made_at(key), UTC)),
        "Message-ID": f"<{name}@{email.from_.address.rpartition('@')[2]}>",
        "Content-Language": email.locale,
        **{header: encoded(value) for header, value in email.headers.items()},
        **{f"X-Mailroom-{tag.replace('_', '-').title()}": encoded(value) for tag, value in email.tags.items()},
        **extra,
    }
    for header, value in headers.items():
        letter[header] = value if value.isascii() else value.encode().decode("ascii", "surrogateescape")
    return letter.as_bytes(policy=WIRE)


def written(mailbox: Mailbox) -> str:
    """Write a mailbox for a header, its name encoded where it has to be."""
    name = encoded(mailbox.name)
    return str(mailbox) if name == mailbox.name else f"{name} <{mailbox.address}>"


def encoded(text: str) -> str:
    """Write `text` for a header: ASCII as it is, anything else, and what imitates it, as RFC 2047 words."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    return Header(" ".join(text.splitlines()), "utf-8", maxlinelen=60).encode(linesep="")


def _charset(text: str) -> Charset:
    charset = Charset("utf-8")
    charset.body_encoding = QP if len(text.encode()) < 1.5 * len(text) else BASE64
    return charset


def _made_at(key: str) -> float:
    """Read the time out of an id of ours, so that a retry bears the same Date; any other key has none."""
    made = int(key[:12], 16) / 1000 if OUR_ID.fullmatch(key) else 0.0
    return made if 0 < made < LATEST else time.time()
