"""Take over what an older system keeps in a passwords.yaml or a .env file.

passwords.yaml has one block an environment (`staging:` and below it `resendApiKey: …`; or `staging.resendApiKey`),
a .env file is one environment. Spelling is free in case, dashes, underscores and nesting: `smtp: {host: …}`,
`smtpHost` and `SMTP_HOST` are one key. What is not about mail is left alone; what nearly is, is an error.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath

from mailroom.model.json_settings import json_object
from mailroom.model.mailbox import Mailbox
from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import import dotenv_file, yaml_file
from mailroom_ops.secrets_import.scalar import Kind, Scalar
from mailroom_ops.secrets_import.yaml_file import Tree
from mailroom_ops.settings import catalog
from mailroom_ops.settings.tenants import account_values

__all__ = ["LARGEST", "Form", "Takeover", "form_of", "read", "settings_of"]

LARGEST = 128 * 1024  # a thousand secrets fit in

AUTH = "senders/default/auth"
NOTIFICATION = "senders/default/notification"
AUTH_FROM, NOTIFICATION_FROM, SMTP_FROM, SMTP_TLS = "from", "notification from", "smtp from", "smtp tls"

# Each key by what it sets; several spellings are in use.
KEYS: Mapping[str, str] = {
    "resendapikey": "providers/resend/api_key",
    "resendkey": "providers/resend/api_key",
    **dict.fromkeys(
        ("resendfromemail", "resendfrom", "resendfromaddress", "resendfromappauth", "resendfromauth"), AUTH_FROM
    ),
    **dict.fromkeys(("resendfromnotifications", "resendfromnotification", "resendfromplatform"), NOTIFICATION_FROM),
    **dict.fromkeys(("resendwebhooksecret", "resendsigningsecret"), "feedback/resend/secret"),
    **dict.fromkeys(("smtphost", "smtpserver", "smtphostname"), "providers/smtp/host"),
    "smtpport": "providers/smtp/port",
    **dict.fromkeys(("smtpusername", "smtpuser", "smtplogin"), "providers/smtp/username"),
    **dict.fromkeys(("smtppassword", "smtppass"), "providers/smtp/password"),
    **dict.fromkeys(("smtpauthuser", "smtpauthusername"), "providers/smtp/username"),
    **dict.fromkeys(("smtpauthpass", "smtpauthpassword"), "providers/smtp/password"),
    **dict.fromkeys(
        ("smtptls", "smtpssl", "smtpsecure", "smtpusetls", "smtpusessl", "smtpencryption", "smtptlsflag"), SMTP_TLS
    ),
    **dict.fromkeys(("smtpfrom", "smtpfromemail", "smtpfromaddress", "smtpsender"), SMTP_FROM),
}
OURS = re.compile(r"resend|smtp")
NEARLY = 0.8  # how like a key another one is that was meant to be it
YES, NO = frozenset({"true", "yes", "on", "1", "y"}), frozenset({"false", "no", "off", "0", "n"})
IMPLICIT, STARTTLS = frozenset({"ssl", "smtps", "implicit", "ssl/tls"}), frozenset({"starttls", "required"})
NEVER, MAYBE = frozenset({"none", "plain"}), frozenset({"opportunistic", "optional"})


class Form(StrEnum):
    YAML = "yaml"
    DOTENV = "env"


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a file says for one environment: our settings, and what to know about them."""

    entries: Mapping[str, Scalar] = field(repr=False)  # by what they set
    notes: tuple[str, ...] = ()


def form_of(name: str) -> Form:
    """Tell from its name how a file is written."""
    path = PurePath(name)
    if path.suffix.lower() in (".yaml", ".yml"):
        return Form.YAML
    if path.suffix.lower() == ".env" or path.name.startswith(".env"):
        return Form.DOTENV
    raise InvalidInput(f"It is not clear how {name} is written.", "Say it: --format yaml or --format env.")


def read(content: bytes, name: str, form: Form) -> dict[str, Takeover]:
    """Return what a file says, by environment; a .env file does not name its own, which is then ''."""
    if len(content) > LARGEST:
        raise InvalidInput(
            f"{name} has {len(content) // 1024} kB, and no file of secrets is longer than {LARGEST // 1024} kB.",
            "Check that it is the right file.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{name} is not UTF-8 text.", details=[f"line {line}: save the file as UTF-8"]) from error
    if form is Form.DOTENV:
        return {"": _takeover(dotenv_file.read(text, name).items(), name)}
    blocks = _blocks(yaml_file.read(text, name), name)
    return {environment: _takeover(block, name) for environment, block in blocks.items()}


def _blocks(tree: Tree, name: str) -> dict[str, list[tuple[str, Scalar]]]:
    found: dict[str, list[tuple[str, Scalar]]] = {}
    for key, value in tree.items():
        environment, dot, rest = key.partition(".")
        if environment not in DEPLOYED:
            continue
        block = found.setdefault(environment, [])
        if dot:
            block.extend(_flat({rest: value}))
        elif isinstance(value, dict):
            block.extend(_flat(value))
        elif value is None or value.kind is not Kind.EMPTY:
            raise InvalidInput(f"{name}: {environment} must be a block of lines, `name: value`.")
    if not found:
        known = ", ".join(list(tree)[:5]) or "nothing"
        raise InvalidInput(f"{name} has none of the blocks {', '.join(DEPLOYED)}.", f"At its top level: {known}.")
    return found


def _flat(tree: Tree, before: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, value in tree.items():
        path = f"{before}.{key}" if before else key
        if isinstance(value, dict):
            yield from _flat(value, path)
        elif value is not None:
            yield path, value


def _takeover(pairs: Iterable[tuple[str, Scalar]], name: str) -> Takeover:
    entries: dict[str, Scalar] = {}
    written: dict[str, str] = {}
    faults, notes, others = [], [], 0
    for key, scalar in pairs:
        plain = _plain(key)
        sets = KEYS.get(plain)
        if sets is None and not OURS.match(plain):
            others += 1
        elif sets is None and (near := difflib.get_close_matches(plain, KEYS, n=1, cutoff=NEARLY)):
            faults.append(f"line {scalar.line}: {key} is not known: did you mean the one for {KEYS[near[0]]}?")
        elif sets is None:
            notes.append(f"line {scalar.line}: Mailroom has no setting for {key}: left alone")
        elif sets in entries:
            faults.append(
                f"line {scalar.line}: {key} says again what {written[sets]} says in line {entries[sets].line}"
            )
        elif scalar.kind is Kind.EMPTY or not scalar.text.strip():
            notes.append(f"line {scalar.line}: {key} is empty: left as it is")
        elif fault := _fault(sets, scalar):
            faults.append(f"line {scalar.line}: {key} {fault}")
        else:
            entries[sets], written[sets] = scalar, key
    if faults:
        raise InvalidInput(f"{name} cannot be taken over as it is.", details=faults)
    if others:
        notes.append(f"{others} other {'key is' if others == 1 else 'keys are'} not about mail: left alone")
    return Takeover(entries, tuple(notes))


def _plain(key: str) -> str:
    """Return how we know a key, whatever blocks it stands in: `email.smtp.host` is `smtphost`."""
    parts = [re.sub(r"[^a-z0-9]", "", part) for part in key.lower().split(".")]
    ours = next((at for at, part in enumerate(parts) if OURS.match(part)), 0)
    return "".join(parts[ours:])


def _fault(sets: str, scalar: Scalar) -> str:
    """Tell what is wrong with a value, in words that do not contain it."""
    text = scalar.text.strip()
    if "\n" in text:
        return "has more than one line"
    if sets == SMTP_TLS:
        known = YES | NO | IMPLICIT | STARTTLS | NEVER | MAYBE | {"tls"}
        return "" if text.lower() in known else "must be true, false, implicit, starttls, opportunistic or none"
    if sets == "providers/smtp/port":
        return "" if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536 else "must be a number from 1 to 65535"
    if scalar.kind is Kind.REFERENCE:
        return "refers to another variable, which is not expanded: write the value out, in single quotes"
    if scalar.kind is not Kind.TEXT:
        return f"reads as {scalar.kind}: put it in quotes"
    if sets in (AUTH_FROM, NOTIFICATION_FROM, SMTP_FROM):
        try:
            Mailbox.parse(text)
        except ValueError as error:
            return f"is {error}"
        return ""
    fault = catalog.fault(sets, text)
    return f"cannot be used: {fault}" if fault else ""


def settings_of(takeover: Takeover, current: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the parameters that a takeover amounts to on top of what is set, senders last, and what to know of it."""
    said = {sets: scalar.text.strip() for sets, scalar in takeover.entries.items()}
    wanted = {sets: text for sets, text in said.items() if "/" in sets}
    notes = list(takeover.notes)
    if tls := _tls(said.get(SMTP_TLS, ""), said.get("providers/smtp/port", "")):
        wanted["providers/smtp/tls"] = tls
    resend, smtp = "providers/resend/api_key" in wanted, "providers/smtp/host" in wanted
    if any(name.startswith("providers/smtp/") for name in wanted) and not smtp and "providers/smtp/host" not in current:
        raise InvalidInput("The file has SMTP settings but no host.", "Add smtpHost, such as smtp.example.com.")
    for account in sorted({name.split("/")[1] for name in wanted if name.startswith("providers/")}):
        if fault := catalog.account_fault(account, account_values({**current, **wanted}, account)):
            raise InvalidInput(f"What the file says about {account} does not add up: {fault}.")
    auth = dict(json_object(current.get(AUTH, "{}")) or {})
    from_ = said.get(AUTH_FROM) or said.get(SMTP_FROM)
    if said.get(AUTH_FROM) and said.get(SMTP_FROM) and said[AUTH_FROM] != said[SMTP_FROM]:
        notes.append("The from-addresses for Resend and for SMTP differ; a sender has one: Resend's is taken")
    if from_:
        auth["from"] = from_
    chain = auth.get("providers")
    if smtp and not chain:
        auth["providers"] = ["resend", "smtp"] if resend else ["smtp"]
    elif isinstance(chain, list):
        for provider, given in (("resend", resend), ("smtp", smtp)):
            if given and provider not in chain:
                notes.append(
                    f"{AUTH} sends through {', '.join(map(str, chain))}: {provider} is set, but not in that chain"
                )
    if from_ or smtp:
        wanted[AUTH] = json.dumps(auth, ensure_ascii=False)
    if said.get(NOTIFICATION_FROM):
        notification = (json_object(current.get(NOTIFICATION, "{}")) or {}) | {"from": said[NOTIFICATION_FROM]}
        wanted[NOTIFICATION] = json.dumps(notification, ensure_ascii=False)
    if resend and not auth.get("from"):
        notes.append("No from-address: mail goes out from onboarding@resend.dev, which will look like spam")
    return wanted, notes


def _tls(flag: str, port: str) -> str:
    """Read the flag of the older system; `false` still means: encrypt where the relay offers it."""
    flag = flag.lower()
    if flag in YES or flag == "tls":
        return "implicit" if port in ("465", "2465") else "starttls"
    if flag in NO or flag in MAYBE:
        return "opportunistic"
    if flag in IMPLICIT:
        return "implicit"
    return "starttls" if flag in STARTTLS else "none" if flag in NEVER else ""
