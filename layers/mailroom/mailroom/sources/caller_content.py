"""The content of a rendered message as its caller sends it: limits, cleaning, and the part that is missing."""

import re
from typing import Any

from mailroom import untrusted
from mailroom.errors import RequestError
from mailroom.model.content import Content
from mailroom.model.mailbox import Mailbox
from mailroom.rendering.outside_html import find_active_content, has_markup, html_of_text, text_of_html

__all__ = ["MAX_CONTENT_BYTES", "content_of"]

# HTML and text together. As ASCII-only JSON they take up to three times that in a queue, whose limit is 1 MiB.
MAX_CONTENT_BYTES = 200_000
MAX_SUBJECT_LENGTH = 300
LINE_BREAK = re.compile(r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no mail may contain them


def content_of(subject: Any, html: Any, text: Any, reply_to: Any = None) -> Content:
    """Return the content of a mail; raise a RequestError with one sentence about what is missing or not allowed.

    HTML without a tag is text: some callers have one field for both. Of HTML and text, the one that is missing is
    made from the other.
    """
    html, text = _body("html", html), _body("text", text)
    if html and not has_markup(html):
        html, text = "", text or html
    if not (html.strip() or text.strip()):
        raise RequestError(422, "The mail has no content: give html, text or both.")
    if len(html.encode()) + len(text.encode()) > MAX_CONTENT_BYTES:
        raise RequestError(413, "The mail is too large: html and text may have 200 kB together, without attachments.")
    if finding := find_active_content(html):
        raise RequestError(422, f"The html contains {finding}, which mail clients do not allow.")
    subject = _subject(subject)
    return Content(
        subject=subject,
        html=html if html.strip() else html_of_text(text),
        text=text if text.strip() else text_of_html(html) or f"{subject}\n",
        reply_to=_mailbox(reply_to),
    )


def _body(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError(422, f"The field {name} is not a text.")
    return CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))


def _subject(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError(422, "The field subject is missing or not a text.")
    if LINE_BREAK.search(value.strip()):
        raise RequestError(422, "The subject has more than one line.")
    subject = untrusted.line(value, MAX_SUBJECT_LENGTH + 1)
    if not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise RequestError(422, f"The subject is empty, or longer than {MAX_SUBJECT_LENGTH} characters.")
    return subject


def _mailbox(value: Any) -> Mailbox | None:
    if value in (None, ""):
        return None
    try:
        if not isinstance(value, str) or LINE_BREAK.search(value):
            raise ValueError
        return Mailbox.parse(value)
    except ValueError as error:
        raise RequestError(422, "The field reply_to is not a single mailbox, such as help@example.com.") from error
