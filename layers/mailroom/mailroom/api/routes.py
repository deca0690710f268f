"""The two ways to the door of `send`: lambda invoke, where IAM has said who may, and HTTP with an API key."""

from collections.abc import Mapping
from typing import Any

from mailroom.api.keys import INVOKER, Caller, authenticate
from mailroom.api.service import Reply, SendService
from mailroom.errors import DeliveryError, InvalidRequest, RequestError
from mailroom.request import Request
from mailroom.sources.direct import BATCH_LENGTH, body_of

__all__ = ["invoked", "is_http", "requested"]

HEADER = "idempotency-key"


def is_http(event: Any) -> bool:
    """Tell what API Gateway sends from what a caller says."""
    return isinstance(event, dict) and event.get("version") == "2.0" and isinstance(event.get("routeKey"), str)


def invoked(service: SendService, event: Any, deadline: float) -> Reply:
    """Answer an invocation, whose event is the body itself."""
    try:
        body = body_of(event)
    except RequestError as refused:
        return Reply.refusal(refused)
    if isinstance(body, list) or (isinstance(body, dict) and "messages" in body):
        return service.take_batch(body, INVOKER, deadline)
    return service.take(body, INVOKER, deadline)


def requested(service: SendService, event: Mapping[str, Any], deadline: float) -> Reply:
    """Answer a request over HTTP."""
    try:
        request = _read(event)
        return _route(service, event["routeKey"], request, authenticate(request, service.delivery.settings), deadline)
    except RequestError as refused:
        return Reply.refusal(refused)
    except DeliveryError as error:
        return Reply.closed(error)


def _read(event: Mapping[str, Any]) -> Request:
    try:
        return Request.from_event(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(400, "This looks like an event of an HTTP API and is none.") from error


def _route(service: SendService, route: str, request: Request, caller: Caller, deadline: float) -> Reply:
    match route:
        case "POST /v1/emails":
            return service.take(_with_header(request.json(), request.headers.get(HEADER)), caller, deadline)
        case "POST /v1/emails/batch":
            if HEADER in request.headers:
                raise InvalidRequest(422, (HEADER, "Give each message an idempotency_key of its own."))
            return service.take_batch(request.json(BATCH_LENGTH), caller, deadline)
    return service.look_up(request.path.get("id", ""), caller)


def _with_header(body: Any, key: str | None) -> Any:
    if key is None or not isinstance(body, dict):
        return body
    if body.get("idempotency_key") not in (None, key):
        raise InvalidRequest(422, (HEADER, "The header and the field idempotency_key differ: give one of them."))
    return body | {"idempotency_key": key}
