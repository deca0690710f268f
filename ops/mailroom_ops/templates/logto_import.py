"""Import Logto's email templates as those of a tenant: from the body of `PUT /api/email-templates`, or a connector.

    {"templates": [{"languageTag": "de", "templateType": "SignIn", "details": {"subject", "content", …}}, …]}
    {"templates": [{"usageType": "SignIn", "subject": …, "content": …}, …]}          SMTP, SES, SendGrid, Aliyun
    {"deliveries": {"SignIn": {"html": …, "text": …, "subject": …}, …}}              Mailgun

Logto's `{{a.b}}` becomes `{{ payload["a.b"] }}`, which is escaped in HTML (Logto does not escape); everything else in
braces is text for Logto, and stays text. A variable that was not sent is empty, and not mailed as `{{a.b}}`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mailroom.sources.logto import TYPES
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.imported import Imported, collect, in_our_layout, literal, literal_sentence

__all__ = ["convert", "read"]

VARIABLE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}", re.ASCII)
TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
# The variables that Logto sends with a type: always, and if known (core 1.42.0). An invitation has any that its caller
# puts into messagePayload, so that none is certainly unknown.
ALWAYS = frozenset({"code"})
USUAL = frozenset({"locale", "uiLocales", "application"})
SOMETIMES: Mapping[str, frozenset[str]] = {
    "SignIn": USUAL | {"organization"},
    "Register": USUAL | {"organization"},
    "ForgotPassword": USUAL | {"organization"},
    "MfaVerification": USUAL | {"organization"},
    "BindMfa": USUAL | {"organization", "user"},
    "UserPermissionValidation": USUAL | {"user"},
    "BindNewIdentifier": USUAL | {"user"},
    "Generic": frozenset({"locale", "uiLocales"}),
}


@dataclass(frozen=True, slots=True)
class Template:
    """One template of Logto; without a `tag`, it is for every language."""

    type: str
    tag: str
    subject: str
    html: str
    text: str
    ignored: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.type} ({self.tag})" if self.tag else self.type


def read(text: str, path: Path) -> Imported:
    """Convert Logto's JSON into a tenant's files; InvalidInput if it contains no template."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"{path} is not JSON{where}.") from error
    return convert(document)


def convert(document: Any) -> Imported:
    """Convert Logto's templates into a tenant's files; InvalidInput if there are none."""
    files: dict[str, str] = {}
    subjects: dict[str, dict[str, dict[str, str]]] = {}
    notes: list[str] = []
    for template in _templates(document, notes):
        kind, suffix = TYPES[template.type], f".{template.tag}" if template.tag else ""
        notes += _notes(template)
        if template.subject:
            subjects.setdefault(template.tag, {})[kind] = {"subject": _sentence(template.subject)}
        if template.html:
            files[f"emails/{kind}{suffix}.html"] = _template(template.html)
        elif template.text:
            files[f"emails/{kind}{suffix}.html"] = in_our_layout(_template(escape(template.text)))
        if template.text:
            files[f"emails/{kind}{suffix}.txt"] = _template(template.text)
    return collect(files, subjects, notes, "Use the JSON of Logto's API or of a connector.")


def _templates(document: Any, notes: list[str]) -> Iterator[Template]:
    for entry in _entries(document):
        type_, tag = entry.get("templateType", entry.get("usageType")), entry.get("languageTag", "")
        details = entry["details"] if isinstance(entry.get("details"), dict) else entry
        if not isinstance(type_, str) or type_ not in TYPES:
            notes.append(f"skipped: {type_!r} is not a template type of Logto")
        elif not isinstance(tag, str) or (tag and not TAG.fullmatch(tag)):
            notes.append(f"skipped: {type_} in {tag!r}, which is not a language tag")
        elif details.get("template") or details.get("templateAlias"):
            notes.append(f"skipped: {type_} is stored at the provider; export its HTML as `content`")
        else:
            yield _read_one(type_, tag, details)


def _entries(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("config"), dict):
        document = document["config"]
    if not isinstance(document, dict):
        document = {"templates": document}
    deliveries, templates = document.get("deliveries"), document.get("templates")
    by_type = deliveries.items() if isinstance(deliveries, dict) else ()
    entries = [{"usageType": type_, **details} for type_, details in by_type if isinstance(details, dict)]
    if isinstance(templates, list):
        entries += [entry for entry in templates if isinstance(entry, dict)]
    return entries


def _read_one(type_: str, tag: str, details: Mapping[str, Any]) -> Template:
    def text(key: str) -> str:
        value = details.get(key)
        return value if isinstance(value, str) else ""

    content, is_plain = text("content"), "text/plain" in (text("contentType"), text("type"))
    return Template(
        type_,
        tag,
        subject=text("subject"),
        html=text("html") or ("" if is_plain else content),
        text=text("text") or (content if is_plain else ""),
        ignored=tuple(key for key in ("replyTo", "sendFrom") if details.get(key)),
    )


def _notes(template: Template) -> Iterator[str]:
    for key in template.ignored:
        yield f"{template.name}: {key} is not imported; set it with the tenant's sender"
    used = {path: None for part in (template.subject, template.html, template.text) for path in VARIABLE.findall(part)}
    for path in used:
        root = path.partition(".")[0]
        if template.type == "OrganizationInvitation":
            yield f"{template.name}: {{{{{path}}}}} is empty unless Logto or your messagePayload contains it"
        elif root in ALWAYS:
            continue
        elif root in SOMETIMES[template.type]:
            yield f"{template.name}: {{{{{path}}}}} is not always sent, and empty then"
        else:
            yield f"{template.name}: {{{{{path}}}}} is never sent with this type: unresolved, always empty"
    for part, kind in ((template.html, "HTML"), (template.text, "text")):
        if part and template.type != "OrganizationInvitation" and "code" not in VARIABLE.findall(part):
            yield f"{template.name}: its {kind} contains no {{{{code}}}}: the built-in template is used instead"


def _converted(source: str, variable: Callable[[str], str], other: Callable[[str], str]) -> str:
    pieces = VARIABLE.split(source)
    return "".join(variable(piece) if number % 2 else other(piece) for number, piece in enumerate(pieces))


def _template(source: str) -> str:
    return _converted(source, lambda path: f'{{{{ payload["{path}"] }}}}', literal)


def _sentence(source: str) -> str:
    return _converted(" ".join(source.split()), lambda path: f"{{payload.{path}}}", literal_sentence)
