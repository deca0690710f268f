"""Plan the import of a file into one environment or all of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.model.json_settings import json_object
from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import.reader import (
    AUTH_FROM,
    NOTIFICATION_FROM,
    SMTP_FROM,
    SMTP_TLS,
    ImportedSettings,
    tls_mode,
)
from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Change, compare, pending
from mailroom_ops.settings.tenants import account_values

__all__ = ["ImportPlan", "plan", "select", "shared_secrets"]

AUTH_SENDER = "senders/default/auth"
NOTIFICATION_SENDER = "senders/default/notification"


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The changes that a file makes to one environment, and notes for the operator."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def to_write(self) -> dict[str, str]:
        return {change.name: change.new for change in pending(self.changes) if change.new is not None}


def select(blocks: Mapping[str, ImportedSettings], environment: str, name: str) -> dict[str, ImportedSettings]:
    """Return the blocks of a file for an environment, or for `all`."""
    if "" in blocks:
        if environment == "all":
            raise InvalidInput(
                f"{name} is one environment and does not name it.", f"Use --env {', --env '.join(DEPLOYED)}."
            )
        return {environment: blocks[""]}
    if environment == "all":
        return {label: blocks[label] for label in DEPLOYED if label in blocks}
    if environment not in blocks:
        raise InvalidInput(f"{name} has no block for {environment}: it has {', '.join(blocks)}.")
    return {environment: blocks[environment]}


def plan(imported: ImportedSettings, current: Mapping[str, str]) -> ImportPlan:
    """Return the changes to the current parameters, senders last."""
    texts = {setting: scalar.text.strip() for setting, scalar in imported.scalars.items()}
    parameters = {setting: text for setting, text in texts.items() if "/" in setting}
    if tls := tls_mode(texts.get(SMTP_TLS, ""), texts.get("providers/smtp/port", "")):
        parameters["providers/smtp/tls"] = tls
    _check_accounts(parameters, current)
    senders, notes = _senders(texts, current)
    return ImportPlan(tuple(compare(current, {**parameters, **senders})), (*imported.notes, *notes))


def shared_secrets(blocks: Mapping[str, ImportedSettings]) -> Iterator[str]:
    """Yield a warning for each provider key that two environments share."""
    seen: dict[str, str] = {}
    for environment, imported in blocks.items():
        for setting, scalar in imported.scalars.items():
            if setting.endswith(("/api_key", "/password")):
                other = seen.setdefault(scalar.text, environment)
                if other != environment:
                    yield f"{other} and {environment} share one {setting}: give each its own"


def _check_accounts(parameters: Mapping[str, str], current: Mapping[str, str]) -> None:
    after = {**current, **parameters}
    has_smtp = any(name.startswith("providers/smtp/") for name in parameters)
    if has_smtp and "providers/smtp/host" not in after:
        raise InvalidInput("The file has SMTP settings but no host.", "Add smtpHost, such as smtp.example.com.")
    for account in sorted({name.split("/")[1] for name in parameters if name.startswith("providers/")}):
        if fault := catalog.account_fault(account, account_values(after, account)):
            raise InvalidInput(f"The settings of {account} are not usable: {fault}.")


def _senders(texts: Mapping[str, str], current: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the senders after the import, where it changes them, and notes."""
    senders: dict[str, str] = {}
    notes = []
    resend, smtp = "providers/resend/api_key" in texts, "providers/smtp/host" in texts
    auth = _sender(AUTH_SENDER, current)
    from_ = texts.get(AUTH_FROM) or texts.get(SMTP_FROM)
    if from_ and texts.get(SMTP_FROM, from_) != from_:
        notes.append("The from-addresses of Resend and SMTP differ; a sender has one, so Resend's is used")
    if from_:
        auth["from"] = from_
    chain = auth.get("providers")
    if smtp and not chain:
        auth["providers"] = ["resend", "smtp"] if resend else ["smtp"]
    elif isinstance(chain, list):
        for provider, is_given in (("resend", resend), ("smtp", smtp)):
            if is_given and provider not in chain:
                notes.append(f"{provider} is set, but {AUTH_SENDER} sends through {', '.join(map(str, chain))} only")
    if from_ or smtp:
        senders[AUTH_SENDER] = json.dumps(auth, ensure_ascii=False)
    if texts.get(NOTIFICATION_FROM):
        notification = _sender(NOTIFICATION_SENDER, current) | {"from": texts[NOTIFICATION_FROM]}
        senders[NOTIFICATION_SENDER] = json.dumps(notification, ensure_ascii=False)
    if resend and not auth.get("from"):
        notes.append("No from-address: mail is sent from onboarding@resend.dev, which looks like spam")
    return senders, notes


def _sender(name: str, current: Mapping[str, str]) -> dict[str, Any]:
    return json_object(current.get(name, "{}")) or {}
