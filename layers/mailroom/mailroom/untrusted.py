"""Text from strangers, made safe for a sentence: no control characters, no bidi overrides, no links.

Markup is not handled here: templates escape every value.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from mailroom.model.hostnames import to_ascii

__all__ = [
    "CODE_LENGTH",
    "INVITER_LENGTH",
    "LINE_LENGTH",
    "LINK_LENGTH",
    "LOCALE_TAG",
    "MAX_FACTS",
    "MAX_PARAGRAPHS",
    "NAME_LENGTH",
    "PUNCTUATION",
    "code",
    "image",
    "isolate",
    "line",
    "link",
    "name",
    "prose",
]

# Lengths in characters.
NAME_LENGTH = 64
INVITER_LENGTH = 40  # it opens the first sentence of a mail: room for a name, not for an advertisement
LINE_LENGTH = 2000
LINK_LENGTH = 2048
CODE_LENGTH = 64
MAX_GRAPHEME_LENGTH = 32
MAX_PARAGRAPHS = 20
MAX_FACTS = 50

LOCALE_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}")  # BCP 47, with the underscore of POSIX
JOINERS = "\u200c\u200d"  # Persian spelling and family emoji need them
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols to Unicode, and yet blank
TRAILERS = "\u0e33\u0eb3\uff9e\uff9f"  # letters that belong to the one before: Thai, Lao, halfwidth kana
SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))
FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))
MARKS = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]"

# How mail clients find links in text, as far as that is known (November 2026):
# - All of them link `scheme://host`, `www.host`, hosts with a known ending, and mail addresses. Gmail and Apple Mail
#   also link phone numbers, dates and postal addresses, to apps of their own; layout.html turns that off for Apple.
# - Without a scheme, U+2060 before each dot stopped every client that was tried except Samsung's
#   (https://blog.teknkl.com/stop-email-client-hyperlinking-text-without-consent/). No regex engine takes U+2060 for a
#   word character.
# - Android's `Patterns.WEB_URL` and linkify-it take any invisible character for a letter of a host, and browsers drop
#   U+200B and U+2060 from a host, so such a link works. A host with U+200C beside a dot they refuse (UTS 46,
#   CheckJoiners, https://www.unicode.org/reports/tr46/#Validity_Criteria; seen in Chromium 156 and Node 20).
# So both: U+2060 before, U+200C after.
BEFORE, AFTER = "\u2060", "\u200c"
# Each with the characters that NFKC turns into it.
DOTS = ".\u2024-\u2026\u2488-\u249b\u3002\u33c2\u33c7\u33d8\ufe12\ufe19\ufe30\ufe52\uff0e\uff61\U0001f100"
COLONS = ":\u2a74\ufe13\ufe55\uff1a"
SLASHES = r"/\\\ufe68\uff0f\uff3c"
ATS = "@\ufe6b\uff20"
ASCII_SEPARATORS = frozenset(".:/\\@")
PUNCTUATION = ".,;:!?()<>\"'“”„«»"

FORBIDDEN_IN_LINK = re.compile(r'[\x00-\x20\\<>"`\x7f]')
# Hosts and ports that no parser reads in two ways: none of the URL standard's forbidden host code points
# (https://url.spec.whatwg.org/#forbidden-host-code-point), no percent-encoding.
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
AUTHORITY = re.compile(rf"(?:(?:{LABEL}\.)*{LABEL}\.?|\[[0-9a-f:.]+\])(?::[0-9]*)?", re.IGNORECASE | re.ASCII)
AUTHORITY_LENGTH = 253 + len(":65535")


def line(value: Any, limit: int = LINE_LENGTH) -> str:
    """Return a text as one line without control and bidi characters, cut to `limit`; '' for anything but text."""
    return _cut(_clean(value, limit), limit) if isinstance(value, str) else ""


def name(value: Any, limit: int = NAME_LENGTH) -> str:
    """Return a name that no mail client turns into a link; it looks the same."""
    return prose(value, limit)


def prose(value: Any, limit: int = LINE_LENGTH, links: Collection[str] = ()) -> str:
    """Return a line in which mail clients find no links, except the words that are one of `links`."""
    if not isinstance(value, str):
        return ""
    text = _clean(value, limit)
    if not text.isascii():
        text = _joined_separator().sub(r"\1", text)
    text = _cut(text, limit)
    if links and any(url in text for url in links):
        words = text.split(" ")
        return " ".join(word if word.strip(PUNCTUATION) in links else _without_links(word) for word in words)
    return _without_links(text)


def code(value: Any) -> str:
    """Return a code as the reader types it."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return line(value, CODE_LENGTH)


def link(value: Any) -> str:
    """Return a web address in ASCII, so that its true host shows; '' for anything that a mail may not link to."""
    if not isinstance(value, str) or not 0 < len(value) <= LINK_LENGTH:
        return ""
    if FORBIDDEN_IN_LINK.search(value) or not (value.isascii() or all(map(_is_for_link, value))):
        return ""
    try:
        url = urlsplit(value)
        host, colon, port = url.netloc.partition(":")
        authority = url.netloc if url.netloc.isascii() else to_ascii(host) + colon + port
        is_web = url.scheme in ("http", "https") and url.port != 0 and len(authority) <= AUTHORITY_LENGTH
    except ValueError:
        return ""
    if not (is_web and AUTHORITY.fullmatch(authority)):
        return ""
    if value.isascii():
        return value
    path, query, fragment = map(_quoted, (url.path, url.query, url.fragment))
    return url._replace(netloc=authority, path=path, query=query, fragment=fragment).geturl()


def image(value: Any) -> str:
    """Return the address of a picture; https only, so that nobody in between sees or replaces the picture."""
    address = link(value)
    return address if address.startswith("https://") else ""


def isolate(text: str, *, rtl: bool) -> str:
    """Wrap a text in bidi isolates where it could reorder the sentence around it."""
    reorders = rtl or not (text.isascii() or all(map(_is_left_to_right, text)))
    return f"\u2068{text}\u2069" if text and reorders else text


def _clean(value: str, limit: int) -> str:
    text = value[: 4 * limit]
    if not text.isprintable():
        text = "".join(map(_plain, text))
    if text.isascii():
        return " ".join(text.split())
    text = " ".join(_stacked_marks().sub(r"\1", text).split())
    return text if any(map(_is_visible, text)) else ""


def _is_left_to_right(char: str) -> bool:
    return unicodedata.bidirectional(char) not in ("R", "AL", "AN")


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNPS" and char not in FILLERS


def _plain(char: str) -> str:
    if char.isspace():
        return " "
    return char if char in JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co") else ""


def _without_links(text: str) -> str:
    if text.isascii() and ASCII_SEPARATORS.isdisjoint(text):
        return text
    return _separator().sub(_separated, text)


# Compiled at first use: the webhook does without them, and they would be a millisecond of each of its cold starts.
@cache
def _separator() -> re.Pattern[str]:
    """Match a dot, a colon or an at-sign before anything but a space, and a slash before a slash; no time's colon."""
    return re.compile(
        rf"[{DOTS}{ATS}{COLONS}{SLASHES}](?=\S)"
        rf"(?:(?<=[{DOTS}{ATS}])|(?<=[{COLONS}])(?:(?<![0-9].)|(?![0-9]))|(?=[{SLASHES}])(?<=[{SLASHES}]))"
    )


@cache
def _joined_separator() -> re.Pattern[str]:
    return re.compile(rf"([{DOTS}{ATS}{COLONS}{SLASHES}])[{JOINERS}]+")


@cache
def _stacked_marks() -> re.Pattern[str]:
    return re.compile(f"({MARKS}{{2}}){MARKS}+")


def _separated(match: re.Match[str]) -> str:
    return BEFORE + match[0] + AFTER


def _cut(text: str, limit: int) -> str:
    """Shorten a text to `limit` characters, with an ellipsis, and never within a grapheme."""
    if len(text) <= limit:
        return text
    longest = limit - len("…")
    ends = range(longest, max(0, longest - MAX_GRAPHEME_LENGTH), -1)
    end = next((end for end in ends if not _is_within_grapheme(text, end)), longest)
    return text[:end].rstrip() + "…"


def _is_within_grapheme(text: str, index: int) -> bool:
    """Test whether a reader takes the characters before and after `index` for one (UAX 29, as far as names go)."""
    before, after = text[index - 1], text[index]
    if unicodedata.category(after)[0] == "M" or after in JOINERS + TRAILERS + SKIN_TONES:
        return True
    if before == "\u200d" or unicodedata.combining(before) == 9:  # bound by a joiner, or by a virama
        return True
    if after in FLAG_HALVES:
        return (index - len(text[:index].rstrip(FLAG_HALVES))) % 2 == 1
    return "\u1160" <= after <= "\u11ff"  # the vowels and finals of Hangul


def _is_for_link(char: str) -> bool:
    return unicodedata.category(char)[0] not in "CZ"


def _quoted(part: str) -> str:
    # Percent-encoded characters stay as they are: a token in a link must not change.
    return "".join(char if char.isascii() else quote(char) for char in part)
