"""Zitadel's HTTP notification provider: texts in the reader's language and the organization's colors, without a layout.

https://zitadel.com/docs/guides/manage/customize/notification-providers. It waits 5 s, accepts any 2xx, repeats a failed
request at once, and gives no id and no time. Names in `args`, `greeting`, `subject` and `title` are escaped for HTML,
`text` is not: it contains a user's name as the user wrote it (zitadel@89ad958c, observed 2026-11). Zitadel's own texts,
the German ones for example, contain `<br>` and `<strong>` (internal/notification/static/i18n, read 2026-11).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import unescape
from typing import Any

from mailroom import untrusted
from mailroom.errors import RequestError
from mailroom.model.kinds import RENDERED
from mailroom.model.mailbox import is_address
from mailroom.model.message import Message
from mailroom.rendering.plain_layout import PlainMail
from mailroom.request import Request
from mailroom.sources.caller_content import content_of
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.caller_secret import require_caller_secret
from mailroom.webhooks.json_access import duration, get, text

__all__ = ["SOURCE", "plain_text"]

KINDS: Mapping[str, str] = {
    "user.human.initialization.code.added": "sign-up-code",
    "user.human.email.code.added": "email-confirmation",
    "user.human.password.code.added": "password-reset",
    "user.human.invite.code.added": "organization-invitation",
    "user.human.passwordless.token.init.code.requested": "bind-mfa-code",
    "user.human.mfa.otp.email.code.added": "mfa-code",
    "user.human.otp.email.code.added": "mfa-code",
    "session.otp.email.challenged": "mfa-code",
    "user.human.password.changed": "security-notice",
    "user.domain.claimed": "security-notice",
}
STATIC_HEADER = re.compile(r"(?:Bearer|Basic) |[A-Za-z][A-Za-z0-9-]*: ")  # of Zitadel's provider; all else is a key
CHOSEN_BY_USERS = ("displayName", "firstName", "lastName", "nickName", "preferredLoginName", "userName")
UNTRANSLATED = re.compile(r"[A-Za-z]+\.Footer")  # the key of a footer that is turned off
LINE_BREAK = re.compile(r"[ \t]*<br ?/?>[ \t]*", re.IGNORECASE)
EMPHASIS = re.compile(r"</?(?:b|em|i|p|strong|u)>", re.IGNORECASE)
NANOSECOND = 1e-9
MAX_TEXT_LENGTH = 10_000


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request without Zitadel's signature, or the static header, of the tenant."""
    lines = [line if STATIC_HEADER.match(line) else f"zitadel:{line}" for line in credentials.lines("secret")]
    require_caller_secret(request, lines, credentials.parameter("secret"))
    return {}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request: Zitadel's texts in a plain layout."""
    body = verified.json_object()
    template, args = get(body, "templateData"), get(body, "args")
    names = sorted({unescape(text(args, key)) for key in CHOSEN_BY_USERS}, key=len, reverse=True)

    def line(key: str, *, is_escaped: bool = True) -> str:
        value = get(template, key)
        if not isinstance(value, str):
            return ""
        value = plain_text(value)
        return _without_links(unescape(value) if is_escaped else value, names)[:MAX_TEXT_LENGTH].strip()

    subject, url, footer = line("subject") or line("title"), untrusted.link(get(template, "url")), line("footerText")
    if not subject:
        raise RequestError(422, "The templateData is missing, or has no subject.")
    mail = PlainMail(
        title=line("title"),
        paragraphs=tuple(filter(None, (line("greeting"), line("text", is_escaped=False)))),
        url=url,
        label=line("buttonText"),
        footer="" if UNTRANSLATED.fullmatch(footer) else footer,
        logo_url=text(template, "logoUrl"),
        colors={
            "primary": text(template, "primaryColor"),
            "background": text(template, "backgroundColor"),
            "text": text(template, "fontColor"),
        },
    )
    lifetime = duration(args, "expiry", unit_seconds=NANOSECOND)
    message = verified.message(
        KINDS.get(text(body, "contextInfo", "eventType"), RENDERED),
        get(body, "contextInfo", "recipientEmailAddress"),
        {},
        expires_at=verified.request.received_at + lifetime if lifetime else None,
        content=content_of(" ".join(subject.split()), mail.html, mail.text),
    )
    return [replace(message, replaces_after=None)]  # two sessions of one user may each wait for their own code


def plain_text(value: str) -> str:
    """Return a text of Zitadel without the markup that its translations have: line breaks and emphasis."""
    return EMPHASIS.sub("", LINE_BREAK.sub("\n", value))


def _without_links(value: str, names: Iterable[str]) -> str:
    """Return a text in which no mail client takes a user's name for a link; login names that are addresses remain."""
    for name in names:
        harmless = untrusted.name(name)
        if harmless not in ("", name) and not is_address(name):
            value = value.replace(name, harmless)
    return value


SOURCE = Source(
    name="zitadel",
    required={"secret": "the signing key of Zitadel's HTTP provider, or a static header `X-Api-Key: …`"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
