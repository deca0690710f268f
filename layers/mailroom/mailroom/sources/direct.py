"""Parsing of requests to `send`: one JSON object per message, or a list of them; each problem is one sentence."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from mailroom.errors import InvalidRequest
from mailroom.model.kinds import KINDS, NAME, Lane
from mailroom.model.parameter_names import DEFAULT_TENANT
from mailroom.model.security_events import SecurityEvent, security_event
from mailroom.request import MAX_BODY_BYTES, parse_json
from mailroom.sources.kind_names import find_kind, unknown_kind, unknown_name
from mailroom.sources.send_request import SendRequest, read_regular

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_SIZE", "messages_of", "parse", "read_event"]

MAX_BATCH_SIZE = 100
MAX_BATCH_BYTES = 1024 * 1024

# The content of kinds without a default text.
DESCRIPTIONS = {
    "notification": "a title or paragraphs: a notification must have one",
    "security-notice": "an event, a title or paragraphs: a security notice must have one",
}

OwnKinds = Callable[[str, str], Collection[str]]


def read_event(event: Any) -> Any:
    """Return an invocation's event, validated as strictly as an HTTP body."""
    try:
        text = json.dumps(event, ensure_ascii=False)
    except RecursionError as error:
        raise InvalidRequest(400, ("body", "The request is nested too deeply.")) from error
    return parse_json(text.encode("utf-8", "surrogatepass"))


def parse(body: Any, own_kinds: OwnKinds) -> SendRequest:
    """Return one request; raise InvalidRequest with all its problems.

    `own_kinds` returns the kinds that a tenant's own templates add, and is called only if the requested kind may be
    one of them; an alias becomes the kind that it stands for.
    """
    if len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise InvalidRequest(413, ("body", "One message may have 64 kB."))
    problems: dict[str, str] = {}
    if isinstance(body, Mapping) and isinstance(kind := body.get("kind"), str) and NAME.fullmatch(kind):
        is_built_in = kind in KINDS and kind not in DESCRIPTIONS
        own = () if is_built_in else own_kinds(_tenant(body), kind)
        if name := find_kind(kind, own):
            body = {**body, "kind": name}
            problems |= _missing_content(name, own, body.get("data"))
        else:
            problems["kind"] = unknown_kind(kind, own)
    request = read_regular(body)
    if request is None:
        from mailroom.sources import send_schema  # pydantic, which only a request with a problem pays

        request, others = send_schema.validate(body)
        problems |= {name: sentence for name, sentence in others.items() if name not in problems}
    if problems or request is None:
        raise InvalidRequest(422, *problems.items())
    return request


def messages_of(body: Any) -> Sequence[Any]:
    """Return the messages of a batch: a list, or an object with the list as its only field, `messages`."""
    messages = body.get("messages") if isinstance(body, Mapping) and set(body) == {"messages"} else body
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_BATCH_SIZE:
        raise InvalidRequest(422, ("messages", f"Give a list of 1 to {MAX_BATCH_SIZE} messages."))
    return messages


def _tenant(body: Mapping[str, Any]) -> str:
    tenant = body.get("tenant")
    return tenant if isinstance(tenant, str) else DEFAULT_TENANT


def _missing_content(kind: str, own_kinds: Collection[str], data: Any) -> Iterator[tuple[str, str]]:
    """Yield the missing content of a kind. Sources that cannot correct a request get default texts instead."""
    content = {} if data is None else data
    if not isinstance(content, Mapping):
        return
    if KINDS.get(kind) is Lane.CODES and not (content.get("code") or content.get("link")):
        yield "data", "Give a code or a link: a mail of this kind must have one."
    if kind not in DESCRIPTIONS or kind in own_kinds:
        return
    event = content.get("event")
    if kind == "security-notice" and event is not None and not security_event(kind, content):
        yield "data.event", unknown_name("event", str(event), SecurityEvent)
    elif not (security_event(kind, content) or _has_text(content)):
        yield "data", f"Give {DESCRIPTIONS[kind]}."


def _has_text(data: Mapping[str, Any]) -> bool:
    """Return whether title or paragraphs contain something to read; a value of the wrong type has its own problem."""
    title, paragraphs = data.get("title"), data.get("paragraphs")
    texts = [title, *paragraphs] if isinstance(paragraphs, list) else [title, paragraphs]
    return any(text.strip() if isinstance(text, str) else text is not None for text in texts)
