"""The template context: every value that a template can show of a Message, the same for all sources.

Values of the wrong type are treated as missing: a code is sent whatever else is wrong with its message.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from mailroom import untrusted
from mailroom.model.kinds import KINDS, Lane, has_caller_text
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent, security_event
from mailroom.rendering.brand import Brand
from mailroom.rendering.request_context import request_facts
from mailroom.rendering.texts import Texts, fill

__all__ = ["build_context", "builtin_kind"]

MAX_SUBJECT_LENGTH = 300
MAX_TITLE_LENGTH = 200
MAX_FACT_LENGTH = 500
# The advice of a security notice to a recipient who did not do it; of all other events, to change the password.
ADVICE = {
    SecurityEvent.PASSWORD_CHANGED: "reset",
    SecurityEvent.EMAIL_CHANGED: "contact",
    SecurityEvent.ACCOUNT_DELETED: "contact",
}


def builtin_kind(message: Message) -> str:
    """Return the built-in kind whose body and texts fit a message; a tenant's own kind uses those of another."""
    if message.kind in KINDS:
        return message.kind
    return "generic-code" if untrusted.code(message.data.get("code")) else "notification"


def build_context(message: Message, texts: Texts, brand: Brand, payload: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a mail, cleaned and in its language, so that the template only lays it out.

    `payload` has the values that a tenant's own texts and templates use, by their paths.
    """
    data, kind, base = message.data, message.kind, builtin_kind(message)
    event = security_event(kind, data)
    rtl = texts.direction == "rtl"
    names = {key: untrusted.isolate(value, rtl=rtl) for key, value in _names(message, brand).items()}
    values = names | {f"payload.{path}": untrusted.isolate(value, rtl=rtl) for path, value in payload.items()}

    def sentence(key: str, **more: str) -> str:
        return fill(texts.of_kind(kind, key) or texts.sentence(base, key), values | more)

    def sentence_of_kind(key: str) -> str:
        of_event = texts.of_kind(f"{kind}.{event}", key) if event else ""
        return fill(of_event or texts.of_kind(kind, key) or texts.of_kind(base, key), values)

    def subject_of_kind() -> str:
        return sentence("event_subject", event=sentence_of_kind("heading")) if event else sentence_of_kind("subject")

    code, links, label = untrusted.code(data.get("code")), _links(data), _button(data).get("text")
    url = links[0] if links else ""

    def caller_text(value: Any, limit: int = untrusted.LINE_LENGTH) -> str:
        return untrusted.isolate(untrusted.prose(value, limit, links), rtl=rtl)

    def fact(value: Any) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return untrusted.isolate(str(value), rtl=rtl)
        return caller_text(value, MAX_FACT_LENGTH)

    is_free = has_caller_text(kind, data)
    title = caller_text(data.get("title"), MAX_TITLE_LENGTH) if is_free else ""
    paragraphs = list(filter(None, map(caller_text, _paragraphs(data.get("paragraphs"))))) if is_free else []
    if not paragraphs:
        text = sentence_of_kind("invited_by" if names["inviter"] else "invited") or sentence_of_kind("text")
        paragraphs = [text] if text else []
    if not (code or url or is_free or event):
        paragraphs.append(sentence("none"))
    valid = _validity(message, texts) if code or url else ""
    subject = " ".join((title or subject_of_kind()).splitlines())[:MAX_SUBJECT_LENGTH]
    heading = title or sentence_of_kind("heading") or subject
    link_label = (
        sentence("or_link") if code else sentence_of_kind("link") or ("" if paragraphs or is_free else sentence("link"))
    )
    advice = sentence_of_kind(ADVICE.get(event, "ignore")) if event else sentence_of_kind("ignore")
    button = url and {
        "url": url,
        "text": caller_text(label, untrusted.NAME_LENGTH) or sentence("button"),
        "label": link_label,
        "plain_link": sentence("plain_link"),
    }
    if event and not url and brand.account_url and event is not SecurityEvent.ACCOUNT_DELETED:
        words = {"text": sentence("secure_button"), "label": sentence("secure"), "plain_link": sentence("plain_link")}
        button, advice = {"url": brand.account_url, **words}, ""
    request = request_facts(message) if brand.request_context else []
    request = [(key, untrusted.isolate(value, rtl=rtl)) for key, value in request]
    facts = _facts(data.get("facts"), fact) if is_free else []
    request_note = ""
    if base == "security-notice":
        facts += [(sentence(key), value) for key, value in request]
    elif request:
        request_note = sentence("requested", request=" · ".join(value for _, value in request))
    return {
        "lang": texts.locale,
        "dir": texts.direction,
        "start": "right" if rtl else "left",
        "end": "left" if rtl else "right",
        "brand": asdict(brand),
        "names": names,
        "payload": payload,
        "subject": subject,
        "preheader": f"{code} · {valid}".rstrip(" ·")
        if code
        else next(filter(None, [*paragraphs, link_label]), heading),
        "heading": heading,
        "paragraphs": paragraphs,
        "code": code and {"text": code, "label": sentence("code"), "spelled": " ".join(code), "long": len(code) > 10},
        "button": button,
        "valid": valid,
        "notes": list(filter(None, (sentence("secret") if code else "", request_note, advice))),
        "facts": facts,
        "footer": [sentence("automatic"), *(untrusted.isolate(line, rtl=rtl) for line in brand.company)],
        "support": _support(brand, sentence("help")),
    }


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


def _links(data: Mapping[str, Any]) -> list[str]:
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
    if brand.support_email:
        return {"label": label, "url": f"mailto:{brand.support_email}", "text": brand.support_email}
    if brand.support_url:
        return {"label": label, "url": brand.support_url, "text": brand.support_url.split("://", 1)[1].rstrip("/")}
    return None
