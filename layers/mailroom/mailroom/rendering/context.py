"""The template context: every value that a template can show of a Message, the same for all sources.

Values of the wrong type are treated as missing: a code is sent whatever else is wrong with its message.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mailroom import untrusted
from mailroom.model.kinds import KINDS, Lane, has_caller_text
from mailroom.model.mailbox import is_address
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent, security_event
from mailroom.rendering.brand import Brand
from mailroom.rendering.request_context import request_facts
from mailroom.rendering.sentences import Sentences
from mailroom.rendering.texts import Texts

if TYPE_CHECKING:
    from mailroom.rendering.link_page import LinkPage

__all__ = ["build_context", "builtin_kind", "caller_links"]

MAX_SUBJECT_LENGTH = 300
MAX_TITLE_LENGTH = 200
MAX_FACT_LENGTH = 500
MAX_ADDRESS_LENGTH = 254
MAX_LINES = 20  # of one paragraph
MAX_SHOWN_URL_LENGTH, URL_START_LENGTH, URL_END_LENGTH = 44, 32, 8  # one line on a phone
ADDRESS_KINDS = (
    "email-confirmation",
    "bind-mfa-code",
    "bind-identifier-code",
)  # they are about the recipient's address
SECURE_KINDS = ("mfa-code", "bind-mfa-code", "permission-code")  # they advise to change the password


def builtin_kind(message: Message) -> str:
    """Return the built-in kind whose body and texts fit a message; a tenant's own kind uses those of another."""
    if message.kind in KINDS:
        return message.kind
    return "generic-code" if untrusted.code(message.data.get("code")) else "notification"


@lru_cache(64)  # a process has few of them, and each mail one
def _brand_of(brand: Brand) -> Mapping[str, Any]:
    return asdict(brand)


def build_context(
    message: Message, texts: Texts, brand: Brand, payload: Mapping[str, str], page: "LinkPage | None" = None
) -> dict[str, Any]:
    """Return the content of a mail, cleaned and in its language, so that the template only lays it out.

    `payload` has the values that a tenant's own texts and templates use, by their paths. Links of the caller lead to
    the tenant's link page, if it has one.
    """
    data, kind, base = message.data, message.kind, builtin_kind(message)
    event, rtl = security_event(kind, data), texts.direction == "rtl"
    names = {key: untrusted.isolate(value, rtl=rtl) for key, value in _names(message, brand).items()}
    values = names | {f"payload.{path}": untrusted.isolate(value, rtl=rtl) for path, value in payload.items()}
    values["inviter"] = _with_address(names["inviter"], data.get("inviter"), rtl=rtl)
    words = Sentences(texts, kind, base, event, values)
    code, addresses = untrusted.code(data.get("code")), caller_links(data)
    links = [page.wrap(address, texts.locale) for address in addresses] if page else addresses
    url = links[0] if links else ""
    has_link_only = bool(url and not code)

    def caller_text(value: Any, limit: int = untrusted.LINE_LENGTH) -> str:
        if page and isinstance(value, str):
            for address, link in zip(addresses, links, strict=True):
                value = value.replace(address, link)
        return untrusted.isolate(untrusted.prose(value, limit, links), rtl=rtl)

    def caller_paragraph(value: Any) -> str:
        lines = value.splitlines()[:MAX_LINES] if isinstance(value, str) else [value]
        return "\n".join(filter(None, map(caller_text, lines)))

    def fact(value: Any) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return untrusted.isolate(str(value), rtl=rtl)
        return caller_text(value, MAX_FACT_LENGTH)

    is_free = has_caller_text(kind, data)
    title = caller_text(data.get("title"), MAX_TITLE_LENGTH) if is_free else ""
    paragraphs = list(filter(None, map(caller_paragraph, _paragraphs(data.get("paragraphs"))))) if is_free else []
    if not paragraphs:
        names_brand = names["organization"] != names["brand"]
        text = words.invitation(names_inviter=bool(names["inviter"]), names_brand=names_brand) or words.own("text")
        paragraphs = [text] if text else []
    if not (code or url or is_free or event):
        paragraphs.append(words.any("none"))
    valid = _validity(message, texts) if code or url else ""
    preheader = _preheader(code, valid, paragraphs)
    if base in ADDRESS_KINDS and is_address(message.to):
        paragraphs.insert(0, untrusted.isolate(message.to, rtl=rtl))
    subject = " ".join((title or words.subject(has_link_only=has_link_only)).splitlines())[:MAX_SUBJECT_LENGTH]
    heading = title or words.heading(has_link_only=has_link_only) or subject
    if code and brand.code_in_subject:
        subject = f"{untrusted.isolate(code, rtl=rtl)} – {subject}"[:MAX_SUBJECT_LENGTH]
    facts = _facts(data.get("facts"), fact) if is_free else []
    advice, request_note, secure = words.advice(), "", None
    request = request_facts(message) if brand.request_context else []
    request = [(key, untrusted.isolate(value, rtl=rtl)) for key, value in request]
    if base == "security-notice":
        facts += [(words.any(key), value) for key, value in request]
    elif request:
        request_note = words.any("requested", request=" · ".join(value for _, value in request))
    button = url and _button_of(
        url,
        text=caller_text(_button(data).get("text"), untrusted.NAME_LENGTH) or words.any("button"),
        label=words.any("or_link")
        if code
        else words.own("link") or ("" if paragraphs or is_free else words.any("link")),
        plain_link="" if base == "notification" else words.any("plain_link"),
    )
    if brand.account_url and base in SECURE_KINDS:
        secure = {"url": brand.account_url, "text": texts.of_kind("security-notice", "secure_button")}
    if brand.account_url and event and not url and event is not SecurityEvent.ACCOUNT_DELETED:
        plain_link = words.any("plain_link")
        button = _button_of(brand.account_url, words.any("secure_button"), words.any("secure"), plain_link)
        advice = ""
    unsubscribe_url = untrusted.link(data.get("unsubscribe_url")) if _may_be_unsubscribed(kind, data) else ""
    return {
        "lang": texts.locale,
        "dir": texts.direction,
        "start": "right" if rtl else "left",
        "end": "left" if rtl else "right",
        "brand": _brand_of(brand),
        "names": names,
        "payload": payload,
        "subject": subject,
        "preheader": preheader or heading,
        "heading": heading,
        "paragraphs": paragraphs,
        "code": code and {"label": words.any("code"), **_code_layout(code)},
        "button": button,
        "valid": valid,
        "notes": list(filter(None, (words.any("secret") if code else "", request_note, advice))),
        "secure": secure,
        "facts": facts,
        "footer": [words.any("automatic"), *(untrusted.isolate(line, rtl=rtl) for line in brand.company)],
        "support": _support(brand, words.any("help")),
        "unsubscribe": unsubscribe_url and {"url": unsubscribe_url, "text": words.any("unsubscribe")},
    }


def _may_be_unsubscribed(kind: str, data: Mapping[str, Any]) -> bool:
    """Return whether a mail may offer to unsubscribe: nobody subscribes to a code or to a warning."""
    return kind == "notification" or (kind not in KINDS and not untrusted.code(data.get("code")))


def _preheader(code: str, valid: str, paragraphs: list[str]) -> str:
    """Return what a list of mails shows after the subject."""
    pieces = [code, valid] if code else [paragraphs[0].replace("\n", " ") if paragraphs else "", valid]
    return " · ".join(filter(None, pieces))


def _code_layout(code: str) -> dict[str, Any]:
    """Return a code with its groups and its size: the longer, the smaller, so that a phone shows it in one line."""
    size, spacing = (34, 6) if len(code) < 8 else (26, 3) if len(code) < 12 else (20, 1)
    is_groupable = code.isdecimal() and len(code) in (6, 8)
    groups = [code[: len(code) // 2], code[len(code) // 2 :]] if is_groupable else [code]
    return {
        "text": code,
        "spelled": " ".join(code),
        "groups": groups,
        "size": size,
        "spacing": spacing,
        "is_long": len(code) > 16,
    }


def _button_of(url: str, text: str, label: str, plain_link: str) -> dict[str, str]:
    """Return a button; `shown` is the address as text, without its middle where it is long."""
    shown = url if len(url) <= MAX_SHOWN_URL_LENGTH else f"{url[:URL_START_LENGTH]}…{url[-URL_END_LENGTH:]}"
    return {"url": url, "shown": shown, "text": text, "label": label, "plain_link": plain_link}


def _with_address(inviter: str, value: Any, *, rtl: bool) -> str:
    """Return an inviter's name with the address that the source knows: anyone can choose any name."""
    address = value.get("primaryEmail") or value.get("email") if isinstance(value, Mapping) else ""
    if not inviter or not (isinstance(address, str) and is_address(address)):
        return inviter
    shown = untrusted.isolate(untrusted.name(address, MAX_ADDRESS_LENGTH), rtl=rtl)
    return inviter if shown == inviter else f"{inviter} ({shown})"


def _names(message: Message, brand: Brand) -> dict[str, str]:
    data, hint = message.data, untrusted.name(message.brand.get("name"))
    organization = _party(data.get("organization"), untrusted.NAME_LENGTH, "name", "displayName")
    app = _party(data.get("application"), untrusted.NAME_LENGTH, "displayName", "name") or organization or hint
    return {
        "app": app or brand.name,
        "brand": brand.name,
        "organization": organization or app or brand.name,
        "inviter": _party(data.get("inviter"), untrusted.INVITER_LENGTH, "name", "username", "primaryEmail"),
    }


def _party(value: Any, limit: int, *keys: str) -> str:
    """Return the name of a person or an organization from a string or from Logto's object."""
    candidates = [value.get(key) for key in keys] if isinstance(value, Mapping) else [value]
    return next(filter(None, (untrusted.name(candidate, limit) for candidate in candidates)), "")


def _paragraphs(value: Any) -> list[Any]:
    paragraphs = value.split("\n\n") if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return list(paragraphs[: untrusted.MAX_PARAGRAPHS])


def _button(data: Mapping[str, Any]) -> Mapping[str, Any]:
    button = data.get("button")
    return button if isinstance(button, Mapping) else {}


def caller_links(data: Mapping[str, Any]) -> list[str]:
    """Return the caller's links: they stay links where its text repeats them."""
    return list(filter(None, map(untrusted.link, (data.get("link"), _button(data).get("url")))))


def _facts(value: Any, clean: Callable[[Any], str]) -> list[tuple[str, str]]:
    rows = list(value.items()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
    pairs = [row for row in rows[: untrusted.MAX_FACTS] if isinstance(row, list | tuple) and len(row) == 2]
    return [(label, clean(content)) for key, content in pairs if (label := clean(key))]


def _validity(message: Message, texts: Texts) -> str:
    if message.lane is not Lane.CODES:
        return ""
    minutes = message.lifetime_minutes
    if minutes < 120:
        return texts.duration("valid_minutes", minutes)
    hours = minutes // 60  # rounded down: better too early than too late
    return texts.duration("valid_hours", hours) if hours < 48 else texts.duration("valid_days", hours // 24)


def _support(brand: Brand, label: str) -> dict[str, str] | None:
    """Return the support link; `plain` is its address in the text part, which mail clients link by themselves."""
    if brand.support_email:
        email = brand.support_email
        return {"label": label, "url": f"mailto:{email}", "text": email, "plain": email}
    if url := brand.support_url:
        return {"label": label, "url": url, "text": url.split("://", 1)[1].rstrip("/"), "plain": url}
    return None
