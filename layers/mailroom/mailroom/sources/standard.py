"""Any sender of Standard Webhooks, Svix for one: `{"type": …, "timestamp": …, "data": {"to": …, "code": …}}`.

https://www.standardwebhooks.com. The id of the webhook identifies the mail; `timestamp` is when it was requested.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailroom.errors import InvalidRequest, RequestError
from mailroom.model.kinds import RENDERED
from mailroom.model.message import Message
from mailroom.sources import direct
from mailroom.sources.caller_content import content_of
from mailroom.sources.kind_names import find_kind
from mailroom.sources.send_request import SendRequest
from mailroom.sources.signed_webhooks import verify
from mailroom.sources.source import Source, VerifiedRequest
from mailroom.webhooks.json_access import any_time, get

__all__ = ["SOURCE"]

MAX_REQUEST_BYTES = 1024 * 1024
ENVELOPE = ("to", "kind", "locale", "expires_in", "supersedes")  # of `data`, as in a request to send
CONTENT = ("subject", "html", "text", "reply_to")
RECEIVED = ("expires_at", "client_ip")
SAFE_FIELDS = (*ENVELOPE, "data.code", "data.link", "data.title", "data.paragraphs", "data.facts", "data.button")


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of an event; raise a RequestError if its data is invalid."""
    body = verified.request.json(MAX_REQUEST_BYTES)
    data = get(body, "data")
    if not isinstance(data, dict):
        raise RequestError(422, "The field data is missing, or is not an object.")
    is_rendered = data.get("html") is not None or data.get("text") is not None
    own = (*ENVELOPE, *CONTENT, *RECEIVED) if is_rendered else (*ENVELOPE, *RECEIVED)
    values = {name: value for name, value in data.items() if name not in own}
    envelope = {name: data[name] for name in ENVELOPE if data.get(name) is not None}
    if "kind" not in envelope:
        envelope["kind"] = _kind(body, data, is_rendered=is_rendered)
    request = _validated(envelope | {"data": values}, (RENDERED,) if is_rendered else ())
    created_at = any_time(body, "timestamp")
    start = min(created_at or verified.request.received_at, verified.request.received_at)
    return [
        verified.message(
            request.kind,
            request.to,
            request.template_data,
            key=verified.claims["id"],
            created_at=created_at,
            expires_at=start + request.expires_in if request.expires_in else any_time(data, "expires_at"),
            locales=request.locale or (),
            client_ip=data.get("client_ip"),
            content=content_of(*(data.get(name) for name in CONTENT)) if is_rendered else None,
        )
    ]


def _validated(body: Mapping[str, Any], own_kinds: Sequence[str]) -> SendRequest:
    """Return a request to send; raise a RequestError whose sentence, which is logged, quotes nothing of it."""
    try:
        return direct.parse(body, lambda *_: own_kinds)
    except InvalidRequest as error:
        field, sentence = error.problems[0]
        known = field if field in SAFE_FIELDS else "data"
        sentence = sentence.replace(f"kind {body['kind']}", "such kind", 1) if field == "kind" else sentence
        raise RequestError(error.status, f"{known}: {sentence}") from error


def _kind(body: Any, data: Mapping[str, Any], *, is_rendered: bool) -> str:
    """Return the kind of data that states none: the type of the event, if it is one of ours."""
    name = get(body, "type")
    if isinstance(name, str) and (kind := find_kind(name, ())):
        return kind
    if is_rendered:
        return RENDERED
    if data.get("code") or data.get("link"):
        return "generic-code"
    raise RequestError(422, "The data has no kind: give one, such as sign-in-code.")


SOURCE = Source(
    name="standard",
    required={"secret": "the secret that signs the webhooks, whsec_…"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
