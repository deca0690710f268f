"""Read the mail settings in a passwords.yaml or a .env file.

A passwords.yaml has one block for each environment (`staging:` and below it `resendApiKey: …`; or
`staging.resendApiKey: …`), a .env file is one environment. Case, dashes, underscores and nesting do not matter:
`smtp: {host: …}`, `smtpHost` and `SMTP_HOST` are the same key. Keys that are not about mail are ignored; a key that
is nearly one of ours is an error.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath

from mailroom.model.mailbox import Mailbox
from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import import dotenv_file, yaml_file
from mailroom_ops.secrets_import.scalar import Kind, Scalar
from mailroom_ops.secrets_import.yaml_file import Tree
from mailroom_ops.settings import catalog

__all__ = [
    "AUTH_FROM",
    "MAX_BYTES",
    "NOTIFICATION_FROM",
    "SMTP_FROM",
    "SMTP_TLS",
    "Format",
    "ImportedSettings",
    "detect_format",
    "read",
    "tls_mode",
]

MAX_BYTES = 128 * 1024  # enough for a thousand secrets
MIN_SIMILARITY = 0.8  # of a key to one of ours, to be taken for a misspelling of it
# Settings that are no parameters by themselves.
AUTH_FROM, NOTIFICATION_FROM, SMTP_FROM, SMTP_TLS = "auth from", "notification from", "smtp from", "smtp tls"

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "providers/resend/api_key": ("resendApiKey", "resendKey"),
    AUTH_FROM: ("resendFromEmail", "resendFrom", "resendFromAddress", "resendFromAppAuth", "resendFromAuth"),
    NOTIFICATION_FROM: ("resendFromNotifications", "resendFromNotification", "resendFromPlatform"),
    "feedback/resend/secret": ("resendWebhookSecret", "resendSigningSecret"),
    "providers/smtp/host": ("smtpHost", "smtpServer", "smtpHostname"),
    "providers/smtp/port": ("smtpPort",),
    "providers/smtp/username": ("smtpUsername", "smtpUser", "smtpLogin", "smtpAuthUser", "smtpAuthUsername"),
    "providers/smtp/password": ("smtpPassword", "smtpPass", "smtpAuthPass", "smtpAuthPassword"),
    SMTP_TLS: ("smtpTls", "smtpSsl", "smtpSecure", "smtpUseTls", "smtpUseSsl", "smtpEncryption", "smtpTlsFlag"),
    SMTP_FROM: ("smtpFrom", "smtpFromEmail", "smtpFromAddress", "smtpSender"),
}
KEYS = {spelling.lower(): setting for setting, spellings in SPELLINGS.items() for spelling in spellings}
CAMEL_CASE = {spelling.lower(): spelling for spellings in SPELLINGS.values() for spelling in spellings}
ABOUT_MAIL = re.compile(r"resend|smtp")
# TLS flags of older systems. A plain yes depends on the port; a plain no still encrypts where the relay offers it.
TLS_FLAGS: Mapping[str, str] = {
    **dict.fromkeys(("true", "yes", "on", "1", "y", "tls"), ""),
    **dict.fromkeys(("false", "no", "off", "0", "n", "opportunistic", "optional"), "opportunistic"),
    **dict.fromkeys(("ssl", "smtps", "implicit", "ssl/tls"), "implicit"),
    **dict.fromkeys(("starttls", "required"), "starttls"),
    **dict.fromkeys(("none", "plain"), "none"),
}
IMPLICIT_TLS_PORTS = ("465", "2465")


class Format(StrEnum):
    """The format of a file."""

    YAML = "yaml"
    DOTENV = "env"


@dataclass(frozen=True, slots=True)
class ImportedSettings:
    """The settings that a file contains for one environment, and notes for the operator."""

    scalars: Mapping[str, Scalar] = field(repr=False)  # by parameter, or by one of the names above
    notes: tuple[str, ...] = ()


def detect_format(name: str) -> Format:
    """Return the format of a file by its name."""
    path = PurePath(name)
    if path.suffix.lower() in (".yaml", ".yml"):
        return Format.YAML
    if path.suffix.lower() == ".env" or path.name.startswith(".env"):
        return Format.DOTENV
    raise InvalidInput(f"The format of {name} is not clear from its name.", "Add --format yaml or --format env.")


def read(content: bytes, name: str, format_: Format) -> dict[str, ImportedSettings]:
    """Return the settings in a file by environment; for a .env file, which does not name its own, by ""."""
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            f"{name} has {len(content) // 1024} kB; a file of secrets has at most {MAX_BYTES // 1024} kB.",
            "Check that it is the right file.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{name} is not UTF-8 text.", details=[f"line {line}: save the file as UTF-8"]) from error
    if format_ is Format.DOTENV:
        return {"": _settings(dotenv_file.read(text, name).items(), name)}
    blocks = _blocks(yaml_file.read(text, name), name)
    return {environment: _settings(block, name) for environment, block in blocks.items()}


def tls_mode(flag: str, port: str) -> str:
    """Return our TLS mode for the flag of an older system; empty without a flag."""
    if not flag:
        return ""
    return TLS_FLAGS[flag.lower()] or ("implicit" if port in IMPLICIT_TLS_PORTS else "starttls")


def _blocks(tree: Tree, name: str) -> dict[str, list[tuple[str, Scalar]]]:
    blocks: dict[str, list[tuple[str, Scalar]]] = {}
    for key, value in tree.items():
        environment, dot, rest = key.partition(".")
        if environment not in DEPLOYED:
            continue
        block = blocks.setdefault(environment, [])
        if dot:
            block.extend(_flatten({rest: value}))
        elif isinstance(value, dict):
            block.extend(_flatten(value))
        elif value is None or value.kind is not Kind.EMPTY:
            raise InvalidInput(f"{name}: {environment} must be a block of lines, `name: value`.")
    if not blocks:
        keys = ", ".join(list(tree)[:5]) or "nothing"
        raise InvalidInput(f"{name} has none of the blocks {', '.join(DEPLOYED)}.", f"At its top level: {keys}.")
    return blocks


def _flatten(tree: Tree, parent: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, value in tree.items():
        path = f"{parent}.{key}" if parent else key
        if isinstance(value, dict):
            yield from _flatten(value, path)
        elif value is not None:
            yield path, value


def _settings(pairs: Iterable[tuple[str, Scalar]], name: str) -> ImportedSettings:
    scalars: dict[str, Scalar] = {}
    keys: dict[str, str] = {}  # as they are written, by setting
    faults, notes, ignored = [], [], 0
    for key, scalar in pairs:
        plain_key = _normalize(key)
        setting = KEYS.get(plain_key)
        if setting is None and not ABOUT_MAIL.match(plain_key):
            ignored += 1
        elif setting is None and (similar := difflib.get_close_matches(plain_key, KEYS, n=1, cutoff=MIN_SIMILARITY)):
            faults.append(f"line {scalar.line}: {key} is unknown: did you mean {_spelled(similar[0], key)}?")
        elif setting is None:
            notes.append(f"line {scalar.line}: {key} is ignored: Mailroom has no such setting")
        elif setting in scalars:
            first = f"{keys[setting]} in line {scalars[setting].line}"
            faults.append(f"line {scalar.line}: {key} sets the same as {first}")
        elif scalar.kind is Kind.EMPTY or not scalar.text.strip():
            notes.append(f"line {scalar.line}: {key} is empty and ignored")
        elif fault := _fault(setting, scalar):
            faults.append(f"line {scalar.line}: {key} {fault}")
        else:
            scalars[setting], keys[setting] = scalar, key
    if faults:
        raise InvalidInput(f"{name} cannot be imported as it is.", details=faults)
    if ignored:
        notes.append(f"{ignored} other {'key is' if ignored == 1 else 'keys are'} ignored: not about mail")
    return ImportedSettings(scalars, tuple(notes))


def _normalize(key: str) -> str:
    """Return a key without case and signs, and without the blocks around it: `email.smtp.host` is `smtphost`."""
    parts = [re.sub(r"[^a-z0-9]", "", part) for part in key.lower().split(".")]
    start = next((index for index, part in enumerate(parts) if ABOUT_MAIL.match(part)), 0)
    return "".join(parts[start:])


def _spelled(plain_key: str, key: str) -> str:
    """Spell a key of ours as the file does: `smtpHost`, or `SMTP_HOST` where it is written in capitals."""
    spelling = CAMEL_CASE[plain_key]
    return re.sub(r"(?=[A-Z])", "_", spelling).upper() if key.isupper() else spelling


def _fault(setting: str, scalar: Scalar) -> str:
    """Return what is wrong with a value, without quoting it; empty for a valid value."""
    text = scalar.text.strip()
    if "\n" in text:
        return "has more than one line"
    if setting == SMTP_TLS:
        return "" if text.lower() in TLS_FLAGS else "must be true, false, implicit, starttls, opportunistic or none"
    if setting == "providers/smtp/port":
        return "" if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536 else "must be a number from 1 to 65535"
    if scalar.kind is Kind.REFERENCE:
        return "refers to another variable, which is not expanded: write the value out, in single quotes"
    if scalar.kind is not Kind.TEXT:
        return f"reads as {scalar.kind}: put it in quotes"
    if setting in (AUTH_FROM, NOTIFICATION_FROM, SMTP_FROM):
        try:
            Mailbox.parse(text)
        except ValueError as error:
            return f"is {error}"
        return ""
    fault = catalog.fault(setting, text)
    return f"cannot be used: {fault}" if fault else ""
