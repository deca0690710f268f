"""An Email as the bytes of a MIME message. The same Email and key give the same bytes, so that retries are equal.

Not Python's email package, which was two thirds of the CPU of an SMTP mail, and breaks a long token, as in
List-Unsubscribe, into encoded words (seen in Python 3.11, 2026-11). The tests read every message with it.
"""

import hashlib
import re
import time
from binascii import b2a_base64, b2a_qp
from collections.abc import Mapping
from functools import lru_cache

from mailroom.model.email import Email, InlineImage
from mailroom.model.mailbox import Mailbox

__all__ = ["compose", "encode_header", "format_mailbox"]

MAX_LINE_BYTES = 76  # RFC 2047, 2: of a header with encoded words; one without may have 78
MAX_TOKEN_LENGTH = 900  # a longer text without a space is encoded: no line may have more than 998 bytes
MAX_WORD_BYTES = 39  # of text in one encoded word: with its `=?utf-8?b?…?=` 64, which fits beside `Subject:`
BASE64_LINE_LENGTH = 76
MAX_CACHED_HEAD_BYTES = 10_000
MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
MAX_TIME = 4102444800.0  # the year 2100: a later time is not a time
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def compose(email: Email, key: str, extra: Mapping[str, str]) -> bytes:
    """Return `email` with `extra` headers as MIME bytes; its addresses must be in their wire form.

    Only headers with an address outside ASCII have bytes outside ASCII: such a mail is sent by SMTPUTF8. Bodies are in
    quoted-printable or base64 also where a relay offers 8BITMIME: the next relay may not, and what it recodes on the
    way breaks a DKIM signature.
    """
    if MESSAGE_ID.fullmatch(key):
        name, seconds = key, _time_of(key)
    else:
        name, seconds = hashlib.sha256(f"{key}\n{email.to}".encode()).hexdigest()[:32], int(time.time())
    message_id = f"<{name}@{email.from_.address.rpartition('@')[2]}>"
    head = (
        f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="=_{name}"\r\n'
        f"{_sender_headers(email.from_, email.reply_to)}{_header('To', email.to)}"
        f"{_header('Subject', encode_header(email.subject))}"
        f"Date: {_date(seconds // 86400)} {_clock(seconds % 86400)} +0000\r\n"
        f"{_header('Message-ID', message_id)}Content-Language: {email.locale}\r\n"
        f"{_other_headers(email.headers, email.tags, extra)}"
    )
    text = _part(name, "plain", email.text) if email.text else b""
    if email.images:
        parts = text + _html_with_images(name, email)
    else:
        parts = text + (_part(name, "html", email.html) if email.html else b"")
    return b"%s\r\n%s--=_%s--\r\n" % (head.encode(), parts, name.encode())


@lru_cache(256)
def _sender_headers(from_: Mailbox, reply_to: Mailbox | None) -> str:
    return _header("From", format_mailbox(from_)) + (_header("Reply-To", format_mailbox(reply_to)) if reply_to else "")


def _other_headers(own: Mapping[str, str], tags: Mapping[str, str], extra: Mapping[str, str]) -> str:
    ids = {_tag_header(tag): value for tag, value in tags.items() if tag != "tenant"}  # whose name is not for readers
    lines = []
    for name, value in {**own, **ids, **extra}.items():
        line = f"{name}: {value}\r\n"
        is_short = len(line) <= MAX_LINE_BYTES
        lines.append(line if is_short and _is_plain(value) else _header(name, encode_header(value)))
    return "".join(lines)


@lru_cache(16)
def _tag_header(tag: str) -> str:
    return f"X-Mailroom-{tag.replace('_', '-').title()}"


@lru_cache(256)
def format_mailbox(mailbox: Mailbox) -> str:
    """Return a mailbox as a header value, its name encoded if necessary."""
    name = encode_header(mailbox.name)
    return str(mailbox) if name == mailbox.name else f"{name} <{mailbox.address}>"


def encode_header(text: str) -> str:
    """Return `text` as a header value: encoded words (RFC 2047) if it is not plain, or looks like such a word."""
    if _is_plain(text) and (len(text) <= MAX_TOKEN_LENGTH or max(map(len, text.split(" "))) <= MAX_TOKEN_LENGTH):
        return text
    content, words, start = " ".join(text.splitlines()).encode(errors="replace"), [], 0
    while start < len(content):
        end = start + MAX_WORD_BYTES
        while end < len(content) and content[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(content[start:end], newline=False).decode()}?=")
        start = end
    return " ".join(words)


def _is_plain(text: str) -> bool:
    """Return whether a text needs no encoding: folding keeps it, and no reader takes it for an encoded word."""
    return text.isascii() and text.isprintable() and "=?" not in text and text[:1] != " " and text[-1:] != " "


def _header(name: str, value: str) -> str:
    """Return a header in lines that are short where the value has spaces; without their breaks it is unchanged."""
    if len(name) + len(value) + 2 <= MAX_LINE_BYTES and value.isascii():
        return f"{name}: {value}\r\n"
    lines, line = [], f"{name}:"
    for token in value.split(" "):
        if len(line.encode()) + 1 + len(token.encode()) > MAX_LINE_BYTES and line.strip(" "):
            lines.append(line)
            line = ""
        line += f" {token}"
    return "\r\n".join([*lines, line, ""])


def _part(name: str, subtype: str, text: str) -> bytes:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    content = text.encode(errors="replace")
    if len(content) < 1.5 * len(text):
        body_start = content.find(b"\n</head>\n", 0, MAX_CACHED_HEAD_BYTES) + 1
        encoding = b"quoted-printable"
        body = _quoted_head(content[:body_start]) + _quoted(content[body_start:])
    else:
        encoding, body = b"base64", _base64(content.replace(b"\n", b"\r\n"))
    head = b'--=_%s\r\nContent-Type: text/%s; charset="utf-8"\r\nContent-Transfer-Encoding: %s\r\n\r\n'
    return head % (name.encode(), subtype.encode(), encoding) + body + b"\r\n"


def _quoted(content: bytes) -> bytes:
    # It breaks long lines as the first line of the content ends, so all of them end alike until here.
    return b2a_qp(content).replace(b"\n", b"\r\n")


_quoted_head = lru_cache(64)(_quoted)  # of HTML: half of it, and the same in each mail of a kind, language and brand


def _html_with_images(name: str, email: Email) -> bytes:
    """Return the HTML with its images as a part of its own (RFC 2387)."""
    inner = f"related-{name}"
    head = f'--=_{name}\r\nContent-Type: multipart/related; type="text/html"; boundary="=_{inner}"\r\n\r\n'
    images = b"".join(_image(inner, image) for image in email.images)
    return head.encode() + _part(inner, "html", email.html) + images + f"--=_{inner}--\r\n\r\n".encode()


def _image(name: str, image: InlineImage) -> bytes:
    lines = (
        f"--=_{name}",
        f'Content-Type: {image.type}; name="{image.name}"',
        f"Content-ID: <{image.cid}>",
        f'Content-Disposition: inline; filename="{image.name}"',
        "Content-Transfer-Encoding: base64",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + _in_lines(image.content.encode()) + b"\r\n"


def _base64(content: bytes) -> bytes:
    return _in_lines(b2a_base64(content, newline=False))


def _in_lines(text: bytes) -> bytes:
    return b"\r\n".join(text[start : start + BASE64_LINE_LENGTH] for start in range(0, len(text), BASE64_LINE_LENGTH))


@lru_cache(16)
def _date(day: int) -> str:
    """Return a day since 1970 as in RFC 5322, in English whatever the locale of the process is."""
    at = time.gmtime(day * 86400)
    return f"{DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _time_of(message_id: str) -> int:
    """Return the time in a message id, so that a retry has the same Date; the present time where it is not one."""
    seconds = int(message_id[:12], 16) / 1000
    return int(seconds if 0 < seconds < MAX_TIME else time.time())
