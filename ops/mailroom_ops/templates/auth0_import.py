"""Import Auth0's email templates as those of a tenant.

From `GET /api/v2/email-templates/{name}` of the Management API, one object or a list of them, or from a file of the
Deploy CLI, whose `body` names a file. https://auth0.com/docs/customize/email/email-templates (2026-11)
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.conversion import NotConvertible, condition, convert, payload, sentence
from mailroom_ops.templates.imported import Imported, collect

__all__ = ["read"]

KINDS: Mapping[str, str] = {
    "verify_email": "email-confirmation",
    "verify_email_by_code": "email-confirmation",
    "reset_email": "password-reset",
    "reset_email_by_code": "password-reset",
    "change_password": "password-reset",
    "password_reset": "password-reset",
    "mfa_oob_code": "mfa-code",
    "user_invitation": "organization-invitation",
    "welcome_email": "welcome",  # a kind of the tenant's own
}
# Expressions of ours, and the names in a sentence.
VARIABLES: Mapping[str, tuple[str, str]] = {
    "code": (payload("code"), "payload.code"),
    "otp": (payload("code"), "payload.code"),
    "url": (payload("link"), "payload.link"),
    "link": (payload("link"), "payload.link"),
    "application.name": ("names.app", "app"),
    "organization.name": ("names.organization", "organization"),
    "organization.display_name": ("names.organization", "organization"),
    "inviter.name": ("names.inviter", "inviter"),
    "friendly_name": ("brand.name", "brand"),
    "tenant": ("brand.name", "brand"),
    "support_url": ("support.url", ""),
}
FILTERS: Mapping[str, str] = {"capitalize": "capitalize", "upcase": "upper", "downcase": "lower", "strip": "trim"}
SAFE_FILTERS = ("escape", "h", "escape_once")  # every value is escaped
DEFAULT = re.compile(r"""default:\s*(?:"(?P<double>[^"\\]*)"|'(?P<single>[^'"\\]*)'|(?P<variable>[\w.]+))""")
TAG = re.compile(r"\{\{-?\s*(?P<value>.*?)\s*-?\}\}|\{%-?\s*(?P<statement>.*?)\s*-?%\}", re.DOTALL)
WORD = re.compile(r'"[^"]*"|\'[^\']*\'|\S+')


def read(text: str, path: Path) -> Imported:
    """Convert Auth0's JSON into a tenant's files; InvalidInput if it contains no template."""
    bodies: dict[str, str] = {}
    sentences: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for template in _templates(text, path):
        name = str(template.get("template"))
        kind = KINDS.get(name)
        if kind is None:
            notes.append(f"skipped: {name} has no counterpart among the kinds")
            continue
        subject = _subject(str(template.get("subject") or ""), name, notes)
        try:
            body = convert(_body(template, path), TAG, partial(_tag, name=name, notes=notes))
        except NotConvertible as error:
            notes.append(f"skipped: {name} contains `{error}`, which has no counterpart")
            continue
        notes += [
            f"{name}: {key} is not imported; set it with the tenant's sender" for key in ("from",) if template.get(key)
        ]
        if f"emails/{kind}.html" in bodies:
            notes.append(f"{name}: replaces another template of the kind {kind}")
        if subject:
            sentences[kind] = {"subject": subject}
        if body.strip():
            bodies[f"emails/{kind}.html"] = body
    hint = "Use the JSON of the Management API's email-templates, or of the Deploy CLI."
    return collect(bodies, {"": sentences} if sentences else {}, list(dict.fromkeys(notes)), hint)


def _templates(text: str, path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not JSON: {error}.") from error
    if isinstance(document, dict) and isinstance(document.get("emailTemplates"), list):
        document = document["emailTemplates"]
    entries = document if isinstance(document, list) else [document]
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("template")]


def _body(template: Mapping[str, Any], path: Path) -> str:
    body = str(template.get("body") or "")
    if body.endswith((".html", ".liquid")) and "<" not in body:
        file = path.parent / body
        if not file.is_file():
            raise InvalidInput(f"{path} names {body}, which does not exist.")
        return file.read_text("utf-8")
    return body


def _tag(match: re.Match[str], name: str, notes: list[str]) -> str:
    if match["value"] is not None:
        expression = _value(match["value"], name, notes)
        return f"{{{{ {expression} }}}}" if expression else ""

    def value(variable: str) -> str:
        return _variable(variable, name, notes)[0] or '""'

    match WORD.findall(match["statement"]):
        case ["if", *words]:
            return f"{{% if {condition(words, value)} %}}"
        case ["elsif" | "elseif", *words]:
            return f"{{% elif {condition(words, value)} %}}"
        case ["else"]:
            return "{% else %}"
        case ["endif"]:
            return "{% endif %}"
    raise NotConvertible(match[0])


def _value(text: str, name: str, notes: list[str]) -> str:
    variable, *filters = (part.strip() for part in text.split("|"))
    if not re.fullmatch(r"[\w.]+", variable):
        raise NotConvertible(text)
    converted = [_filter(word, text, name, notes) for word in filters if word not in SAFE_FILTERS]
    expression = _variable(variable, name, notes)[0]
    return " | ".join([expression, *converted]) if expression else ""


def _filter(word: str, text: str, name: str, notes: list[str]) -> str:
    if match := DEFAULT.fullmatch(word):
        other = _variable(match["variable"], name, notes)[0] if match["variable"] else ""
        return f"default({other or json.dumps(match['double'] or match['single'] or '')}, true)"
    if word not in FILTERS:
        raise NotConvertible(text)
    return FILTERS[word]


def _variable(variable: str, name: str, notes: list[str]) -> tuple[str, str]:
    """Return a variable as an expression and in a sentence; two empty texts for one that Mailroom does not have."""
    if variable in VARIABLES:
        return VARIABLES[variable]
    if variable.startswith("user."):
        notes.append(f"{name}: {{{{ {variable} }}}} is empty unless `data` of your requests has {variable}")
        return payload(variable), f"payload.{variable}"
    notes.append(f"{name}: {{{{ {variable} }}}} is not known to Mailroom: always empty")
    return "", ""


def _subject(source: str, name: str, notes: list[str]) -> str:
    """Return the subject as a sentence; an empty one, with a note, where it cannot be one."""

    def placeholder(match: re.Match[str]) -> str:
        value = match["value"]
        if value is None or "|" in value:
            raise NotConvertible(match[0])
        return _variable(value, name, notes)[1]

    try:
        return sentence(source, TAG, placeholder)
    except NotConvertible as error:
        notes.append(f"{name}: the subject contains `{error}` and is not imported: the built-in one is used")
        return ""
