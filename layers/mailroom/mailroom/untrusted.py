"""Words from strangers, made harmless before they meet a sentence: no controls, no overrides, no links unasked for.

Markup is no concern of this file: templates escape everything.
"""

import re
import unicodedata
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["FACTS", "PARAGRAPHS", "TAG", "code", "image", "isolate", "line", "link", "name"]

NAME_LENGTH = 64
PARAGRAPHS = 20
FACTS = 50
LINE_LENGTH = 2000
LINK_LENGTH = 2048
CODE_LENGTH = 64
TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}")  # what a language may be asked for with
JOINERS = "\u200c\u200d"  # Persian spelling and family emoji need them
MARKS = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]"
STACKED = re.compile(f"({MARKS}{{2}}){MARKS}+")
SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]*:[/\\]{2,}|(javascript|vbscript|data):)", re.IGNORECASE)
DOT = re.compile(r"(?<=\w)([.\u3002\uff0e\uff61])(?=[^\W\d_])")


def line(value: Any, limit: int = LINE_LENGTH) -> str:
    """Return a text as one line without control and bidi characters, cut to `limit`; '' for what is no text."""
    if not isinstance(value, str):
        return ""
    value = value[: 4 * limit]
    if not (value.isascii() and value.isprintable()):
        value = STACKED.sub(r"\1", "".join(map(_plain, value)))
    text = " ".join(value.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _plain(char: str) -> str:
    if char.isspace():
        return " "
    return char if char in JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co") else ""


def name(value: Any, limit: int = NAME_LENGTH) -> str:
    """Return a name that a mail client will not turn into a link to wherever its giver likes."""
    # Gmail, Outlook and iOS Mail make a link of anything with a known ending, `Win-a-prize.example.com`; an invisible
    # space after the dot keeps the look and stops them.
    return DOT.sub("\\1\u200b", SCHEME.sub("", line(value, limit)))


def code(value: Any) -> str:
    """Return a code as it is to be typed."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return line(value, CODE_LENGTH)


def link(value: Any) -> str:
    """Return a web address in ASCII, so that it shows what it is, or '' if it is not one a mail may carry."""
    if not isinstance(value, str) or not 0 < len(value) <= LINK_LENGTH:
        return ""
    if any(char in ' \\<>"`' or unicodedata.category(char)[0] in "CZ" for char in value):
        return ""
    try:
        url = urlsplit(value)
        host = url.netloc if value.isascii() else url.netloc.encode("idna").decode()
        is_web = url.scheme in ("http", "https") and bool(url.hostname) and "@" not in url.netloc and url.port != 0
    except (UnicodeError, ValueError):
        return ""
    if not is_web or value.isascii():
        return value if is_web else ""
    path, query, fragment = map(_quoted, (url.path, url.query, url.fragment))
    return url._replace(netloc=host, path=path, query=query, fragment=fragment).geturl()


def _quoted(part: str) -> str:
    # What is quoted already stays so: a token in a link must not change.
    return "".join(char if char.isascii() else quote(char) for char in part)


def image(value: Any) -> str:
    """Return the address of a picture; only https, so that nobody on the way sees or swaps it."""
    address = link(value)
    return address if address.startswith("https://") else ""


def isolate(text: str, *, rtl: bool) -> str:
    """Keep a name from turning the sentence around it, where its direction is not the sentence's."""
    turns = rtl or any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text if ord(char) > 0x58F)
    return f"\u2068{text}\u2069" if text and turns else text
