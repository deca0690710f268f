"""Routes of the send function: HTTP with an API key, and invocations, whose callers IAM has authorized."""

from collections.abc import Mapping
from typing import Any

from mailroom.api.keys import INVOKER, authenticate
from mailroom.api.reply import Reply
from mailroom.api.service import SendService
from mailroom.errors import InvalidRequest, RequestError
from mailroom.request import Request
from mailroom.sources.direct import MAX_BATCH_BYTES, read_event

__all__ = ["is_http", "respond"]

KEY_HEADER = "idempotency-key"


def is_http(event: Any) -> bool:
    """Return whether an event comes from API Gateway, and not from a caller who invokes the function."""
    return isinstance(event, dict) and event.get("version") == "2.0" and isinstance(event.get("routeKey"), str)


def respond(service: SendService, event: Any, deadline: float) -> Reply:
    """Return the reply to an event. Any event gets one: an error too becomes a reply."""
    try:
        return _respond_to_http(service, event, deadline) if is_http(event) else _respond(service, event, deadline)
    except Exception as error:  # noqa: BLE001 - a crashed invocation would leave the caller without a reply
        return Reply.of_error(error)


def _respond(service: SendService, event: Any, deadline: float) -> Reply:
    body = read_event(event)
    if isinstance(body, list) or (isinstance(body, dict) and "messages" in body):
        return service.send_batch(body, INVOKER, deadline)
    return service.send(body, INVOKER, deadline)


def _respond_to_http(service: SendService, event: Mapping[str, Any], deadline: float) -> Reply:
    request = _read_request(event)
    caller = authenticate(request, service.delivery.settings)
    match event["routeKey"]:
        case "POST /v1/emails":
            return service.send(_body_with_key(request), caller, deadline)
        case "POST /v1/emails/batch":
            if KEY_HEADER in request.headers:
                raise InvalidRequest(422, (KEY_HEADER, "Give each message an idempotency_key of its own."))
            return service.send_batch(request.json(MAX_BATCH_BYTES), caller, deadline)
        case _:
            return service.look_up(request.path.get("id", ""), caller)


def _read_request(event: Mapping[str, Any]) -> Request:
    try:
        return Request.from_event(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(400, "This looks like an event of an HTTP API, but is malformed.") from error


def _body_with_key(request: Request) -> Any:
    body, key = request.json(), request.headers.get(KEY_HEADER)
    if key is None or not isinstance(body, dict):
        return body
    if body.get("idempotency_key") not in (None, key):
        raise InvalidRequest(422, (KEY_HEADER, "The header and the field idempotency_key differ: give one of them."))
    return body | {"idempotency_key": key}
