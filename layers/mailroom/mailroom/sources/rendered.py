"""Mail that its caller has rendered: JSON or a form with recipient, subject, html and text, in fields of any name.

The content is sent as it is. All else is as for any other message: lanes, retries, failover, suppression, status.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from mailroom.errors import RequestError
from mailroom.model.json_settings import json_object
from mailroom.model.kinds import KINDS, RENDERED
from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources.caller_content import content_of
from mailroom.sources.kind_names import find_kind
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.caller_secret import require_caller_secret
from mailroom.webhooks.json_access import any_time, get

__all__ = ["FIELDS", "SOURCE", "declare", "field_map", "parse"]

MAX_REQUEST_BYTES = 1024 * 1024  # in a form, 200 kB of content may take three times as much
MAX_FIELDS = 100
MAX_RECIPIENTS = 10
MAX_KEY_LENGTH = 255
FORM = "application/x-www-form-urlencoded"
FIELDS = (
    *("to", "subject", "html", "text", "reply_to"),
    *("id", "created_at", "expires_in", "kind", "locale", "client_ip", "attachments"),
)
FieldMap = Mapping[str, Sequence[str]]
NO_FIELDS: FieldMap = {}


def field_map(setting: str) -> FieldMap | None:
    """Return the names of fields that a setting such as `{"html": "content"}` states; None if it is malformed.

    A name may be a path such as `data.to`, and a list has alternatives.
    """
    values = json_object(setting)
    if values is None or not set(values) <= set(FIELDS):
        return None
    names = {field: [value] if isinstance(value, str) else value for field, value in values.items()}
    is_valid = all(isinstance(value, list) and all(isinstance(name, str) for name in value) for value in names.values())
    return names if is_valid else None


def verify(request: Request, credentials: Credentials, fields: FieldMap) -> Mapping[str, Any]:
    """Refuse a request that does not prove a secret of the tenant; return the signed id, and the tenant's fields."""
    setting = "".join(credentials.if_set("fields"))
    own = field_map(setting) if setting else {}
    id_ = require_caller_secret(request, credentials.lines("secret"), credentials.parameter("secret"))
    if own is None:
        raise credentials.malformed("fields", f"must be a JSON object with some of {', '.join(FIELDS)}")
    return {"id": id_, "fields": {**fields, **own}}


def parse(verified: VerifiedRequest, kinds: Mapping[str, str] | None = None) -> list[Message]:
    """Return a message for each recipient; raise a RequestError if one, or the content, is invalid.

    `kinds` are ours by the names of an auth server, of which any other counts as none.
    """
    body = read_body(verified.request)
    fields: FieldMap = verified.claims["fields"]
    values = {name: _value(body, fields.get(name, (name,))) for name in FIELDS}
    if values["attachments"]:
        raise RequestError(422, "Attachments are not supported: link to the file instead.")
    content = content_of(values["subject"], values["html"], values["text"], values["reply_to"])
    key = values["id"] if values["id"] is not None else verified.claims["id"]
    if not (isinstance(key, str | int) and len(str(key)) <= MAX_KEY_LENGTH):
        raise RequestError(422, f"The field id is not a text of up to {MAX_KEY_LENGTH} characters.")
    created_at = any_time(values, "created_at")
    lifetime = _seconds(values["expires_in"])
    start = min(created_at or verified.request.received_at, verified.request.received_at)
    kind = kinds.get(str(values["kind"]), RENDERED) if kinds is not None else _kind(values["kind"])
    return [
        verified.message(
            kind,
            recipient,
            {},
            key=str(key),
            created_at=created_at,
            expires_at=start + lifetime if lifetime else None,
            locales=[values["locale"]],
            client_ip=values["client_ip"],
            content=content,
        )
        for recipient in _recipients(values["to"])
    ]


def read_body(request: Request) -> Mapping[str, Any]:
    """Return the fields of a JSON object or a form; a form's repeated field is a list."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        body = request.json(MAX_REQUEST_BYTES)
        if not isinstance(body, dict):
            raise RequestError(422, "The request is not a JSON object.")
        return body
    if len(request.body) > MAX_REQUEST_BYTES:
        raise RequestError(413, "The request is too large.")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RequestError(400, "The form is not valid UTF-8, or has too many fields.") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: texts if len(texts) > 1 else texts[0] for name, texts in values.items()}


def _value(body: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the first of some fields that is there, by its name or its path; an empty text counts as absent."""
    values = (body[name] if name in body else get(body, *name.split(".")) for name in names)
    return next((value for value in values if value not in (None, "")), None)


def _recipients(value: Any) -> list[Any]:
    recipients = list(dict.fromkeys(map(str, value))) if isinstance(value, list) else [value]
    if not 0 < len(recipients) <= MAX_RECIPIENTS or recipients == [None]:
        raise RequestError(422, f"The field to is missing, or has more than {MAX_RECIPIENTS} recipients.")
    return recipients


def _kind(value: Any) -> str:
    if value is None:
        return RENDERED
    kind = find_kind(value, (RENDERED,)) if isinstance(value, str) else None
    if kind is None:
        raise RequestError(422, f"There is no such kind: use {', '.join(KINDS)}, or leave it out.")
    return kind


def _seconds(value: Any) -> float:
    """Return a number of seconds, which a form has as text; 0 where there is none."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if not 1 <= seconds <= 7 * 24 * 3600:
        raise RequestError(422, "The field expires_in is not a number of seconds, 1 to 604800.")
    return seconds


def declare(name: str, fields: FieldMap = NO_FIELDS) -> Source:
    """Return the declaration of a source with names of fields of its own."""
    return Source(
        name=name,
        required={"secret": "authenticates its requests: `Bearer …`, `Basic user:password`, `X-Api-Key: …`, `whsec_…`"},
        optional={"fields": "the names of its fields, such as html, where they differ (JSON)"},
        secrets=("secret",),
        verify=partial(verify, fields=fields),
        parse=parse,
    )


SOURCE = declare("rendered")
