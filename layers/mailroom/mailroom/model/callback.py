"""A callback: the endpoint to which a tenant's outcome events are posted, and the keys that sign them."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.model.json_settings import InvalidSetting
from mailroom.model.outcome_event import EVENT_TYPES

__all__ = ["PREFIX", "Callback"]

FIELDS = ("url", "secrets", "secret", "events", "include_address")
PREFIX = "whsec_"
KEY_BYTES = range(24, 65)  # by the standard
MAX_SECRETS = 2
# A password in a URL would reach logs of proxies; http is for the local stack, which alone posts to loopback.
URL = re.compile(r"(?:https://[^\s/?#@]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?)(?:[/?][^\s#]*)?")


@dataclass(frozen=True, slots=True)
class Callback:
    """A tenant's endpoint. `keys` sign each request, the newest first; without `events`, all of them are posted."""

    url: str
    keys: tuple[bytes, ...]
    events: frozenset[str] = frozenset()
    include_address: bool = False

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> "Callback":
        """Return the callback of the setting `name`; raise InvalidSetting for one that cannot be used."""
        if unknown := sorted(set(values) - set(FIELDS)):
            raise InvalidSetting(name, f"it contains the unknown key {unknown[0]}: use {', '.join(FIELDS)}")
        url, events, include = values.get("url"), values.get("events", []), values.get("include_address", False)
        if not isinstance(url, str) or not URL.fullmatch(url):
            raise InvalidSetting(name, "url must be an https address, without a password")
        if not isinstance(events, list) or not set(map(str, events)) <= set(EVENT_TYPES):
            raise InvalidSetting(name, f"events must be a list of some of {', '.join(EVENT_TYPES)}")
        if not isinstance(include, bool):
            raise InvalidSetting(name, "include_address must be true or false")
        secrets = values.get("secrets", values.get("secret"))
        secrets = secrets.split() if isinstance(secrets, str) else secrets
        keys = tuple(map(_key, secrets)) if isinstance(secrets, list) else ()
        if not 0 < len(keys) <= MAX_SECRETS or not all(keys):
            raise InvalidSetting(name, "secrets must be a list of one or two, each whsec_ and base64 of 24 to 64 bytes")
        return cls(url, keys, frozenset(events), include)

    def takes(self, event_type: str) -> bool:
        """Return whether events of a type are posted."""
        return not self.events or event_type in self.events


def _key(secret: object) -> bytes:
    """Return the key of a secret; empty for one that is malformed."""
    if not isinstance(secret, str) or not secret.startswith(PREFIX):
        return b""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        return b""
    return key if len(key) in KEY_BYTES else b""
