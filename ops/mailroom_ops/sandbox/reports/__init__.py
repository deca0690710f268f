"""Delivery reports, as each provider writes and signs them, with secrets that are valid on this machine only."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailroom.model.event import EventType
from mailroom.providers import NAMES
from mailroom_ops.provider_modules import provider_module
from mailroom_ops.sandbox.inbox import Captured

__all__ = ["JSON", "PATH_SECRET", "Posting", "iso_time", "report", "settings", "tags_of"]

JSON = {"content-type": "application/json"}
PATH_SECRET = "local-feedback-secret"


@dataclass(frozen=True, slots=True)
class Posting:
    """A request to the local front door."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def settings() -> dict[str, str]:
    """Return the settings with which Mailroom accepts these reports."""
    modules = [module for name in NAMES if (module := provider_module(__name__, name))]
    return {name: value for module in modules for name, value in module.settings().items()}


def report(mail: Captured, event_type: EventType) -> Posting | None:
    """Return a provider's report of an event of a mail; None if the provider has no such report."""
    module = provider_module(__name__, mail.provider)
    posting: Posting | None = module.report(mail, event_type, time.time()) if module else None
    return posting


def tags_of(mail: Captured) -> dict[str, str]:
    return {"message_id": mail.message_id, "tenant": mail.tenant, "kind": mail.kind}


def iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
