"""Parsing of requests to `send`: one JSON object per message, or a list of them; each problem is one sentence."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mailroom.errors import InvalidRequest
from mailroom.model.kinds import KINDS, Lane
from mailroom.request import MAX_BODY_BYTES, parse_json
from mailroom.sources.send_request import SendRequest

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_SIZE", "messages_of", "parse", "read_event"]

MAX_BATCH_SIZE = 100
MAX_BATCH_BYTES = 1024 * 1024


def read_event(event: Any) -> Any:
    """Return an invocation's event, validated as strictly as an HTTP body."""
    try:
        text = json.dumps(event, ensure_ascii=False)
    except RecursionError as error:
        raise InvalidRequest(400, ("body", "The request is nested too deeply.")) from error
    return parse_json(text.encode("utf-8", "surrogatepass"))


def parse(body: Any) -> SendRequest:
    """Return one request; raise InvalidRequest with all its problems."""
    if len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MAX_BODY_BYTES:
        raise InvalidRequest(413, ("body", "One message may have 64 kB."))
    problems = dict(_missing_content(body))
    try:
        request = SendRequest.model_validate(body)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            problems.setdefault(".".join(map(str, problem["loc"])) or "body", _sentence(problem))
    if problems:
        raise InvalidRequest(422, *problems.items())
    return request


def messages_of(body: Any) -> Sequence[Any]:
    """Return the messages of a batch: a list, or an object with the list as its only field, `messages`."""
    messages = body.get("messages") if isinstance(body, Mapping) and set(body) == {"messages"} else body
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_BATCH_SIZE:
        raise InvalidRequest(422, ("messages", f"Give a list of 1 to {MAX_BATCH_SIZE} messages."))
    return messages


def _missing_content(body: Any) -> Iterator[tuple[str, str]]:
    """Yield the missing content of a kind. Sources that cannot correct a request get default texts instead."""
    kind, data = (body.get("kind"), body.get("data") or {}) if isinstance(body, Mapping) else ("", {})
    if not isinstance(data, Mapping) or not isinstance(kind, str):
        return
    if KINDS.get(kind) is Lane.CODES and not (data.get("code") or data.get("link")):
        yield "data", "Give a code or a link: a mail of this kind must have one."
    if kind == "notification" and not (data.get("title") or data.get("paragraphs")):
        yield "data", "Give a title or paragraphs: a notification must have one."


def _sentence(problem: ErrorDetails) -> str:
    match problem["type"], problem["loc"]:
        case "missing", _:
            return "This field is required."
        case "extra_forbidden", (_,):
            return f"There is no such field: use {', '.join(SendRequest.model_fields)}."
        case "extra_forbidden", _:
            return "There is no such field."
        case (("model_type" | "model_attributes_type"), _):
            return "Give a JSON object."
        case "string_type", _:
            return "Give a text."
    return problem["msg"].replace("Input should", "Must", 1).rstrip(".") + "."
