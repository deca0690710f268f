"""HTML that a caller rendered: the check that it is fit for a mail, and the text part made from it.

The HTML itself is never changed. A text part is for readers of plain text, and for spam filters, which distrust mail
that has none.
"""

import re
from collections.abc import Mapping
from html import escape

from mailroom import untrusted
from mailroom.rendering.html_tokens import Tag, tokenize

__all__ = ["find_active_content", "has_markup", "html_of_text", "text_of_html"]

MAX_TEXT_LENGTH = 20_000  # of a text part that is made from HTML
TAG = re.compile(r"<(?:/?[a-z]|!(?:doctype|--|\[))", re.IGNORECASE)
SPACES = re.compile(r"[ \t\r\n\f\u00a0]+")
INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u180e\u200b\u2060\ufeff]|(?:[\u200c\u200d\u200e\u200f] *){2,}")
BLANK_LINES = re.compile(r"\n{3,}")
WEB_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden", re.IGNORECASE)

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
UNSEEN = frozenset(["head", "style", "script", "title", "template", "noscript"])
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "div",
        "footer",
        "header",
        "main",
        "nav",
        "section",
        "tbody",
        "tr",
    ]
)
SPACED = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre"])
# No mail client runs or submits these; spam filters reject them, and in a mail of an auth server they are mostly
# somebody's name.
ACTIVE = frozenset(["script", "form", "iframe", "frame", "object", "embed", "applet"])
DATA_SCRIPTS = ("application/ld+json", "application/json")  # markup for mail clients, https://schema.org/EmailMessage
LINKS = ("href", "src", "action", "formaction", "background", "poster", "xlink:href")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)", re.IGNORECASE)
IGNORED_IN_SCHEME = re.compile(r"[\x00-\x20]+")  # by browsers: `java\nscript:` is `javascript:`
SCHEMES = frozenset(("http", "https", "mailto", "tel", "sms", "cid"))
DATA_IMAGE = re.compile(r"data:image/(?!svg)", re.IGNORECASE)


def has_markup(value: str) -> bool:
    """Return whether a value contains a tag: some callers send HTML or text in one field."""
    return TAG.search(value) is not None


def find_active_content(html: str) -> str:
    """Return what a mail must not contain, such as `the element script`; empty if the HTML has nothing of it."""
    tags = (token for token in tokenize(html) if isinstance(token, Tag) and not token.is_end)
    return next(filter(None, map(_finding, tags)), "")


def text_of_html(html: str) -> str:
    """Return the content of HTML as plain text: links with their address, hidden parts left out."""
    text = INVISIBLE.sub("", _TextWriter().write(html))
    text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
    text = BLANK_LINES.sub("\n\n", text).strip()
    if len(text) > MAX_TEXT_LENGTH:
        text = text[:MAX_TEXT_LENGTH].rstrip() + "…"
    return text + "\n" if text else ""


def html_of_text(text: str) -> str:
    """Return plain text as HTML: its lines and spaces are kept, and its web addresses are links."""
    parts, end = [], 0
    for match in WEB_ADDRESS.finditer(text):
        url = match[0].rstrip(untrusted.PUNCTUATION)
        if untrusted.link(url):
            parts += [escape(text[end : match.start()]), f'<a href="{escape(url)}">{escape(url)}</a>']
            end = match.start() + len(url)
    parts.append(escape(text[end:]))
    style = "white-space:pre-wrap;font:16px/1.5 sans-serif"
    return (
        f'<!doctype html>\n<html><body><div dir="auto" style="{style}">{"".join(parts).strip()}</div></body></html>\n'
    )


def _finding(tag: Tag) -> str:
    attributes = tag.attributes
    if tag.name in ACTIVE and not (tag.name == "script" and attributes.get("type") in DATA_SCRIPTS):
        return f"the element {tag.name}"
    if any(name.startswith("on") for name in attributes):
        return "an event handler attribute"
    if tag.name == "meta" and attributes.get("http-equiv", "").strip().lower() == "refresh":
        return "a redirect"
    links = (attributes.get(name, "") for name in LINKS)
    return "" if all(map(_is_harmless, links)) else "a link that is neither http, https, mailto nor tel"


def _is_harmless(link: str) -> bool:
    address = IGNORED_IN_SCHEME.sub("", link)
    scheme = SCHEME.match(address)
    return scheme is None or scheme[0].lower() in SCHEMES or DATA_IMAGE.match(address) is not None


class _TextWriter:
    """Collects the visible text of HTML."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._unseen = ""  # the tag of the outermost element that is not shown
        self._depth = 0  # of elements of that tag
        self._link = ""  # its address
        self._label_start = 0
        self._is_preformatted = False

    def write(self, html: str) -> str:
        for token in tokenize(html):
            if isinstance(token, str):
                self._text(token)
            elif token.is_end:
                self._end(token.name)
            else:
                self._start(token.name, token.attributes)
        return "".join(self._parts)

    def _text(self, text: str) -> None:
        if self._unseen:
            return
        if self._is_preformatted:
            self._parts.append(text)
        else:
            self._append(SPACES.sub(" ", text))

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._unseen:
            self._depth += name == self._unseen
        elif name in VOID:
            self._void(name, attributes)
        elif name in UNSEEN or "hidden" in attributes or HIDDEN.search(attributes.get("style", "")):
            self._unseen, self._depth = name, 1
        else:
            self._open(name, attributes)

    def _end(self, name: str) -> None:
        if self._unseen:
            self._depth -= name == self._unseen
            if not self._depth:
                self._unseen = ""
                self._break(name)
        elif name == "a":
            self._end_link()
        elif name in ("td", "th"):
            self._append(" ")
        else:
            self._is_preformatted = self._is_preformatted and name != "pre"
            self._break(name)

    def _void(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "br":
            self._parts.append("\n")
        elif name == "hr":
            self._parts.append("\n\n")
        elif name == "img" and (alt := SPACES.sub(" ", attributes.get("alt", "")).strip()):
            self._append(f"{alt} ")

    def _open(self, name: str, attributes: Mapping[str, str]) -> None:
        self._break(name)
        if name == "a":
            self._end_link()  # as browsers do: links are not nested
            self._link, self._label_start = attributes.get("href", "").strip(), len(self._parts)
        elif name == "li":
            self._parts.append("\n- ")
        elif name == "pre":
            self._is_preformatted = True

    def _end_link(self) -> None:
        url, self._link = self._link, ""
        if url.startswith(("http:", "https:", "mailto:", "tel:")):
            label = "".join(self._parts[self._label_start :]).strip()
            address = url.removeprefix("mailto:").removeprefix("tel:")
            if label not in (url, address):
                self._append(f" ({address})" if label else address)

    def _break(self, name: str) -> None:
        if name in SPACED:
            self._parts.append("\n\n")
        elif name in BLOCKS:
            self._parts.append("\n")

    def _append(self, text: str) -> None:
        """Append text, without a second space after a space or a line end."""
        if text.startswith(" ") and (not self._parts or self._parts[-1].endswith((" ", "\n"))):
            text = text[1:]
        if text:
            self._parts.append(text)
