"""Import Zitadel's message texts as those of a tenant.

From its translation files (`de.yaml`, with a section for each message), or from an answer of the API,
`…/text/message/{message}/{language}`, saved under the name `{message}.{language}.json`.
https://zitadel.com/docs/guides/manage/customize/texts (2026-11)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mailroom.sources.zitadel import plain_text
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.conversion import sentence
from mailroom_ops.templates.imported import Imported, collect

__all__ = ["read"]

# Zitadel's messages, in lower case and without separators.
KINDS: Mapping[str, str] = {
    "initcode": "sign-up-code",
    "init": "sign-up-code",
    "passwordreset": "password-reset",
    "verifyemail": "email-confirmation",
    "verifyemailotp": "mfa-code",
    "inviteuser": "organization-invitation",
}
SKIPPED: Mapping[str, str] = {
    "verifyphone": "a text message",
    "verifysmsotp": "a text message",
    "passwordchange": "a security notice, which has a text for each event",
    "domainclaimed": "no kind of Mailroom",
    "passwordlessregistration": "no kind of Mailroom",
}
# The sentence that each field becomes. The greeting begins the text.
FIELDS: Mapping[str, str] = {"subject": "subject", "title": "heading", "buttontext": "button"}
# The text of a kind, whether or not a message names who invited, and a brand.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "organization-invitation": ("invited", "invited_on", "invited_by", "invited_by_on"),
}
IGNORED: Mapping[str, str] = {
    "preheader": "Mailroom's begins with the code",
    "footertext": "the footer is the brand's company",
}
VARIABLES: Mapping[str, str] = {
    "Code": "payload.code",
    "OTP": "payload.code",
    "URL": "payload.link",
    "ApplicationName": "app",
    "Domain": "app",
}
USER_VARIABLES = frozenset(
    {"UserName", "FirstName", "LastName", "NickName", "DisplayName", "LastEmail", "VerifiedEmail", "PreferredLoginName"}
)
VARIABLE = re.compile(r"\{\{-?\s*\.(?P<name>\w+)\s*-?\}\}")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")


def read(text: str, path: Path) -> Imported:
    """Convert texts into a tenant's files; InvalidInput if there are none."""
    language = path.stem.rpartition(".")[2]
    if not LANGUAGE.fullmatch(language):
        raise InvalidInput(f"{path.name} does not end with a language.", "Name it de.yaml, or init.de.json.")
    kinds: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for message, fields in _messages(text, path):
        key = _plain(message)
        if kind := KINDS.get(key):
            kinds[kind] = dict(_sentences(message, fields, TEXTS.get(kind, ("text",)), notes))
        else:
            notes.append(f"skipped: {message}, {SKIPPED.get(key, 'which is no message of Zitadel')}")
    hint = "Use a translation file of Zitadel, or an answer of its API."
    return collect({}, {language: kinds} if kinds else {}, list(dict.fromkeys(notes)), hint)


def _messages(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = yaml.safe_load(text)  # JSON is YAML, too
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{path} is neither YAML nor JSON.") from error
    if not isinstance(document, dict):
        return
    if isinstance(custom := document.get("customText"), dict):
        yield path.stem.partition(".")[0], custom
        return
    for message, fields in document.items():
        if isinstance(fields, dict):
            yield str(message), fields


def _sentences(
    message: str, fields: Mapping[str, Any], texts: Iterable[str], notes: list[str]
) -> Iterator[tuple[str, str]]:
    values = {_plain(name): value for name, value in fields.items() if isinstance(value, str) and value.strip()}
    for name, key in FIELDS.items():
        if name in values:
            yield key, _sentence(values[name], message, notes)
    body = " ".join(values[name] for name in ("greeting", "text") if name in values)
    if body:
        text = _sentence(body, message, notes)
        yield from ((key, text) for key in texts)
    if any(plain_text(value) != value for value in values.values()):
        notes.append(f"{message}: line breaks and emphasis are left out; a text is one paragraph")
    notes += [f"{message}: {name} is not imported; {reason}" for name, reason in IGNORED.items() if name in values]


def _sentence(source: str, message: str, notes: list[str]) -> str:
    def placeholder(match: re.Match[str]) -> str:
        name = match["name"]
        if name in VARIABLES:
            return VARIABLES[name]
        if name in USER_VARIABLES:
            path = f"user.{name[0].lower()}{name[1:]}"
            notes.append(f"{message}: {{{{.{name}}}}} is empty unless `data` of your requests has {path}")
            return f"payload.{path}"
        notes.append(f"{message}: {{{{.{name}}}}} is not known to Mailroom: always empty")
        return ""

    return sentence(plain_text(source), VARIABLE, placeholder)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())
