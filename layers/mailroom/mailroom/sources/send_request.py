"""The request of an auth service that calls `send`: one message to one recipient."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from mailroom.model.kinds import KINDS, NOTICE_LIFETIME_SECONDS, Lane, lane_of
from mailroom.model.mailbox import is_address
from mailroom.model.message import REPLACES_AFTER_SECONDS, Message, content_identity
from mailroom.sources.field_rules import (
    MAX_KEY_LENGTH,
    MAX_LIFETIME_SECONDS,
    MAX_LOCALES,
    MAX_TITLE_LENGTH,
    is_code,
    is_event,
    is_fact,
    is_link,
    is_name,
    is_tag,
    to_integer,
    to_pairs,
    to_paragraphs,
    to_tags,
)
from mailroom.untrusted import MAX_FACTS, MAX_PARAGRAPHS, NAME_LENGTH

__all__ = ["FIELDS", "SendRequest", "read_regular"]

SOURCE = "direct"
AT_ONCE_SECONDS = 0.001  # two codes of one batch do not replace each other


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One message to one recipient, as `send_schema` describes it. `data` has the fields that are given."""

    kind: str
    to: str
    tenant: str | None = None
    locale: list[str] | None = None
    data: Mapping[str, Any] | None = None
    idempotency_key: str | None = None
    mode: str | None = None
    supersedes: bool | None = None
    expires_in: int | None = None

    @property
    def tenant_name(self) -> str:
        return self.tenant or "default"

    @property
    def canonical_json(self) -> str:
        """The whole request, in one form for all that mean the same."""
        values = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return json.dumps(values, sort_keys=True)

    @property
    def deduplication_key(self) -> str:
        """The name under which a repeated request is recognized: its idempotency key, or its content."""
        if self.idempotency_key:
            return json.dumps([self.tenant_name, self.idempotency_key])
        return content_identity(self.tenant_name, self.to, self.kind, self.template_data)

    @property
    def reportable_key(self) -> str:
        """The idempotency key, where it may be stored; empty if the address, the code or the link is a part of it."""
        data, stated = self.template_data, self.idempotency_key or ""
        private = (self.to, data.get("code"), data.get("link"))
        return "" if any(text and text.lower() in stated.lower() for text in private) else stated

    @property
    def template_data(self) -> dict[str, Any]:
        return dict(self.data or {})

    def to_message(self, message_id: str, created_at: float, code_lifetime: float) -> Message:
        data = self.template_data
        lifetime = code_lifetime if lane_of(self.kind, data) is Lane.CODES else NOTICE_LIFETIME_SECONDS
        return Message(
            id=message_id,
            tenant=self.tenant_name,
            kind=self.kind,
            to=self.to,
            data=data,
            created_at=created_at,
            expires_at=created_at + (self.expires_in or lifetime),
            has_default_lifetime=lane_of(self.kind, data) is Lane.CODES and not self.expires_in,
            source=SOURCE,
            locales=tuple(self.locale or ()),
            # Repeated requests have become one message before: the identity only orders the codes of a recipient.
            identity=message_id if KINDS.get(self.kind) is Lane.CODES else "",
            replaces_after={True: AT_ONCE_SECONDS, False: None, None: REPLACES_AFTER_SECONDS}[self.supersedes],
        )


FIELDS = tuple(field.name for field in fields(SendRequest))


def read_regular(body: Any) -> SendRequest | None:
    """Return a request whose fields are all as `send_schema` requires; None for any other, which that explains.

    The tests compare both, for requests of every form.
    """
    if not isinstance(body, dict) or not READERS.keys() >= body.keys():
        return None
    values = _read(body, READERS)
    return SendRequest(**values) if values and "kind" in values and "to" in values else None


def _read(values: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any] | None:
    """Return the values that are given, in the order of their readers, then others; None if a reader refuses one."""
    read: dict[str, Any] = {}
    for name, reader in readers.items():
        if (value := values.get(name)) is not None:
            read[name] = reader(value)
            if read[name] is None:
                return None
    return read | {name: value for name, value in values.items() if name not in readers and value is not None}


def _text(rule: Callable[[str], bool]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and rule(value) else None


def _any(rule: Callable[[Any], bool]) -> Callable[[Any], Any]:
    return lambda value: value if rule(value) else None


def _list(convert: Callable[[Any], Any], rule: Callable[[Any], bool], max_length: int) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        items = convert(value)
        return items if isinstance(items, list) and len(items) <= max_length and all(map(rule, items)) else None

    return read


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_fact, value))


def _seconds(value: Any) -> int | None:
    number = to_integer(value)
    return number if type(number) is int and 1 <= number <= MAX_LIFETIME_SECONDS else None


def _button(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not BUTTON_READERS.keys() >= value.keys():
        return None
    button = _read(value, BUTTON_READERS)
    return button if button and "url" in button else None


def _data(value: Any) -> dict[str, Any] | None:
    return _read(value, DATA_READERS) if isinstance(value, dict) else None


# In the order of the schema's fields, in which messages have them too.
BUTTON_READERS = {"url": _any(is_link), "text": _text(lambda text: len(text) <= NAME_LENGTH)}
DATA_READERS = {
    "code": _any(is_code),
    "link": _any(is_link),
    "title": _text(lambda text: len(text) <= MAX_TITLE_LENGTH),
    "paragraphs": _list(to_paragraphs, lambda item: isinstance(item, str), MAX_PARAGRAPHS),
    "button": _button,
    "facts": _list(to_pairs, _is_pair, MAX_FACTS),
    "event": _any(is_event),
    **dict.fromkeys(("request", "application", "organization", "inviter"), lambda value: value),
}
READERS = {
    "kind": _text(is_name),
    "to": _text(is_address),
    "tenant": _text(is_name),
    "locale": _list(to_tags, lambda item: isinstance(item, str) and is_tag(item), MAX_LOCALES),
    "data": _data,
    "idempotency_key": _text(lambda text: 1 <= len(text) <= MAX_KEY_LENGTH),
    "mode": _any(lambda value: value in ("inline", "queued")),
    "supersedes": _any(lambda value: isinstance(value, bool)),
    "expires_in": _seconds,
}
