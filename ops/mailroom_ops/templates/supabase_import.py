"""Import Supabase's email templates as those of a tenant.

From the project's auth configuration, `GET /v1/projects/{ref}/config/auth` of the Management API, or from
supabase/config.toml with the files that it names. https://supabase.com/docs/guides/auth/auth-email-templates (2026-11)
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mailroom import untrusted
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.conversion import NotConvertible, condition, convert, payload, sentence
from mailroom_ops.templates.imported import Imported, collect

__all__ = ["read"]

KINDS: Mapping[str, str] = {
    "confirmation": "sign-up-code",
    "invite": "organization-invitation",
    "magic_link": "sign-in-code",
    "recovery": "password-reset",
    "email_change": "email-confirmation",
    "reauthentication": "permission-code",
}
PATHS: Mapping[str, str] = {
    ".Token": "code",
    ".ConfirmationURL": "link",
    ".Email": "user.email",
    ".NewEmail": "user.new_email",
    ".RedirectTo": "redirect_to",
}
METADATA = "user.user_metadata"  # `.Data`
CONTENT_KEY = re.compile(r"mailer_(?P<part>subjects|templates)_(?P<name>\w+?)(_content)?")
TAG = re.compile(r"\{\{-?\s*(?P<code>.*?)\s*-?\}\}", re.DOTALL)
# Supabase's docs build links of an app's own by the token's hash, which Mailroom does not pass on.
HASH_LINK = re.compile(r"""(?P<quote>["'])[^"']*\{\{-?\s*\.TokenHash\s*-?\}\}[^"']*(?P=quote)""")
# Its hook has another one, that of the API (auth@bc32168e, 2026-11): the configuration's is written into the template.
SITE_URL = re.compile(r"\{\{-?\s*\.SiteURL\s*-?\}\}")
SHOWN = re.compile(r"\.(Token|TokenHash|ConfirmationURL)\b")
WORD = re.compile(r'"[^"]*"|\S+')


@dataclass(frozen=True, slots=True)
class Template:
    """One template, by Supabase's name."""

    name: str
    subject: str
    content: str


def read(text: str, path: Path) -> Imported:
    """Convert a configuration into a tenant's files; InvalidInput if it contains no template."""
    bodies: dict[str, str] = {}
    sentences: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for template in _templates(text, path):
        kind = KINDS.get(template.name)
        if kind is None:
            notes.append(f"skipped: {template.name}; security notices have one template for all events")
            continue
        subject = _subject(template, notes) if template.subject else ""
        try:
            content = _content(template, notes) if template.content else ""
        except NotConvertible as error:
            notes.append(f"skipped: {template.name} contains {{{{{error}}}}}, which has no counterpart")
            continue
        if subject:
            sentences[kind] = {"subject": subject}
        if content:
            bodies[f"emails/{kind}.html"] = content
            notes += _warnings(template)
    hint = "Use the JSON of the Management API's config/auth, or supabase/config.toml."
    return collect(bodies, {"": sentences} if sentences else {}, list(dict.fromkeys(notes)), hint)


def _templates(text: str, path: Path) -> Iterator[Template]:
    try:
        is_json = path.suffix == ".json" or text.lstrip().startswith("{")
        document = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is neither JSON nor TOML: {error}.") from error
    auth = _table(document, "auth")
    site_url = auth.get("site_url") or (document.get("site_url") if isinstance(document, dict) else None)
    for template in _unfilled(document, auth, path):
        if not (isinstance(site_url, str) and untrusted.link(site_url)):
            yield template
            continue
        subject = SITE_URL.sub(lambda _: site_url, template.subject)
        content = SITE_URL.sub(lambda _: escape(site_url), template.content)
        yield Template(template.name, subject, content)


def _unfilled(document: Any, auth: Mapping[str, Any], path: Path) -> Iterator[Template]:
    """Yield the templates of a configuration as they are."""
    for name, values in _table(_table(auth, "email"), "template").items():
        if isinstance(values, dict):
            yield Template(name, str(values.get("subject", "")), _file(values, path))
    for name in _table(_table(auth, "email"), "notification"):
        yield Template(f"{name}_notification", "", "")  # to be reported
    parts: dict[str, dict[str, str]] = {}
    for key, value in document.items() if isinstance(document, dict) else ():
        if (match := CONTENT_KEY.fullmatch(key)) and isinstance(value, str):
            parts.setdefault(match["name"], {})[match["part"]] = value
    for name, values in parts.items():
        yield Template(name, values.get("subjects", ""), values.get("templates", ""))


def _table(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _file(values: Mapping[str, Any], path: Path) -> str:
    """Return the content of a template of config.toml; its path is relative to the project, or to the file."""
    name = values.get("content_path")
    if not isinstance(name, str):
        return str(values.get("content", ""))
    for folder in (path.parent.parent, path.parent):
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    raise InvalidInput(f"{path} names {name}, which does not exist.")


def _content(template: Template, notes: list[str]) -> str:
    source, number = HASH_LINK.subn(r"\g<quote>{{ .ConfirmationURL }}\g<quote>", template.content)
    if number:
        notes.append(
            f"{template.name}: a link with {{{{ .TokenHash }}}} becomes Supabase's own, {{{{ .ConfirmationURL }}}}"
        )
    return convert(source, TAG, lambda match: _tag(match["code"], template.name, notes))


def _tag(code: str, name: str, notes: list[str]) -> str:
    words = WORD.findall(code)
    match words:
        case [variable] if variable.startswith("."):
            path = _path(variable, name, notes)
            return f"{{{{ {payload(path)} }}}}" if path else ""
        case ["if", *rest]:
            return f"{{% if {_condition(rest, name, notes)} %}}"
        case ["else", "if", *rest]:
            return f"{{% elif {_condition(rest, name, notes)} %}}"
        case ["else"]:
            return "{% else %}"
        case ["end"]:
            return "{% endif %}"
    raise NotConvertible(code)


def _condition(words: list[str], name: str, notes: list[str]) -> str:
    match words:
        case [("eq" | "ne") as comparison, left, right]:
            words = [left, "==" if comparison == "eq" else "!=", right]
        case [_]:
            pass
        case _:
            raise NotConvertible(" ".join(["if", *words]))

    def value(variable: str) -> str:
        path = _path(variable, name, notes)
        return payload(path) if path else '""'

    return condition(words, value)


def _path(variable: str, name: str, notes: list[str]) -> str:
    """Return the path of a variable in the data of a message; empty for one that Mailroom does not get."""
    if path := PATHS.get(variable):
        return path
    if re.fullmatch(r"\.Data(\.\w+)+", variable):
        return METADATA + variable.removeprefix(".Data")
    if not variable.startswith("."):
        raise NotConvertible(variable)
    notes.append(f"{name}: {{{{ {variable} }}}} is not sent to Mailroom: always empty")
    return ""


def _subject(template: Template, notes: list[str]) -> str:
    """Return the subject as a sentence; an empty one, with a note, where it cannot be one."""

    def placeholder(match: re.Match[str]) -> str:
        if not match["code"].startswith("."):
            raise NotConvertible(match["code"])
        path = _path(match["code"], template.name, notes)
        return f"payload.{path}" if path else ""

    try:
        return sentence(template.subject, TAG, placeholder)
    except NotConvertible as error:
        problem = f"contains {{{{{error}}}}} and is not imported: the built-in one is used"
        notes.append(f"{template.name}: the subject {problem}")
        return ""


def _warnings(template: Template) -> Iterator[str]:
    if not SHOWN.search(template.content):
        yield f"{template.name}: shows neither code nor link: the built-in template is used instead"
