"""A local API Gateway: an HTTP API with the routes of template.yaml, in front of the functions.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from mailroom_ops.local.runtime_api import InvocationResult
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["Gateway", "Route", "Throttle", "to_event", "to_response"]

# Only these arrive as text, everything else in base64. Seen on a real HTTP API; it is not documented.
# https://github.com/ministackorg/ministack/pull/766 (2026-06)
TEXT = re.compile(r"text/[^;]*|application/(?:json|xml|javascript)")
BREAKS = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Route:
    """A route such as `ANY /webhooks/logto/{tenant}`, and its function."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    def match(self, request: Request) -> dict[str, str] | None:
        """Return the path parameters, or None if the route does not match."""
        if self.method not in ("ANY", request.method):
            return None
        names, parts = self.path.split("/"), request.raw_path.split("/")
        if names[-1].endswith("+}") and len(parts) >= len(names):
            parts = [*parts[: len(names) - 1], "/".join(parts[len(names) - 1 :])]
        if len(names) != len(parts):
            return None
        parameters = {}
        for name, part in zip(names, parts, strict=True):
            if name.startswith("{") and part:
                parameters[name.strip("{+}")] = unquote(part)
            elif name != part:
                return None
        return parameters

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Return a key that sorts the most specific route first, which API Gateway selects."""
        return self.path.endswith("+}"), self.path.count("{"), self.method == "ANY"


@dataclass
class Throttle:
    """A token bucket: `rate` requests per second, bursts of `burst`; zero means no limit."""

    rate: float = 0
    burst: float = 0
    _tokens: float = field(default=-1)
    _at: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self) -> bool:
        if not self.rate or not self.burst:
            return True
        with self._lock:
            now = time.monotonic()
            tokens = self.burst if self._tokens < 0 else min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
            self._tokens = max(tokens - 1, 0) if tokens >= 1 else tokens
            return tokens >= 1


class Gateway:
    """Finds the route, invokes its function and converts the result.

    `report` gets the fields of the access log, those of API Gateway's `$context` that contain no path and no address.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
    """

    def __init__(
        self,
        routes: list[Route],
        throttle: tuple[float, float],
        invoke: Callable[[str, bytes], InvocationResult],
        report: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._routes = sorted(routes, key=lambda route: route.rank)
        self._throttles = {route.key: Throttle(*throttle) for route in routes}
        self._invoke = invoke
        self._report = report

    def answer(self, request: Request) -> Response:
        for route in self._routes:
            parameters = route.match(request)
            if parameters is not None:
                request_id, moment, started = uuid.uuid4().hex[:15] + "=", time.time(), time.monotonic()
                response = self._invoke_route(route, parameters, request, request_id)
                self._report(
                    {
                        "requestId": request_id,
                        "requestTimeEpoch": str(int(moment * 1000)),
                        "httpMethod": request.method,
                        "routeKey": route.key,
                        "status": str(response.status),
                        "responseLatency": str(round((time.monotonic() - started) * 1000)),
                    }
                )
                return replace(response, headers=(*response.headers, ("apigw-requestid", request_id)))
        return refusal(404, "Not Found")

    def _invoke_route(self, route: Route, parameters: dict[str, str], request: Request, request_id: str) -> Response:
        if not self._throttles[route.key].admits():
            return refusal(429, "Too Many Requests")
        event = to_event(request, route.key, parameters, request_id)
        result = self._invoke(route.function, json.dumps(event).encode())
        return refusal(500, "Internal Server Error") if result.failed else to_response(result.payload)


def to_event(request: Request, route_key: str, path_parameters: Mapping[str, str], request_id: str) -> dict[str, Any]:
    """Convert a request to an event in payload format 2.0."""
    headers = _headers(request)
    body, encoded = _body(request)
    host = headers.get("host", "")
    moment = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        # Decoded, despite its name. https://github.com/fastify/aws-lambda-fastify/issues/169 (2023-08)
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host.rpartition(":")[0] or host,
            "domainPrefix": host.partition(".")[0].partition(":")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.peer,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(moment)),
            "timeEpoch": int(moment * 1000),
        },
        "isBase64Encoded": encoded,
    }
    cookies = [part.strip() for part in request.header("cookie").split(";") if part.strip()]
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True, errors="replace"):
        query[name] = f"{query[name]},{value}" if name in query else value
    optional = {
        "cookies": cookies,
        "queryStringParameters": query,
        "pathParameters": dict(path_parameters),
        "body": body,
    }
    return event | {name: value for name, value in optional.items() if value}


def _headers(request: Request) -> dict[str, str]:
    headers = {name: request.header(name) for name, _ in request.headers if name != "cookie"}
    forwarded = {"x-forwarded-for": request.peer, "x-forwarded-proto": "https", "x-forwarded-port": "443"}
    trace = {"x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"}
    length = {"content-length": str(len(request.body))}
    return {**length, **headers, **forwarded, **trace}


def _body(request: Request) -> tuple[str, bool]:
    kind = request.header("content-type").lower().partition(";")[0].strip()
    if TEXT.fullmatch(kind) and not request.header("content-encoding"):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), bool(request.body)


def to_response(payload: bytes) -> Response:
    """Convert the result of a function to a response; without a `statusCode` the whole payload is the body."""
    result = json.loads(payload or b"null")
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result if isinstance(result, str) else json.dumps(result)
        return Response(200, body.encode(), (("content-type", "application/json"),))
    try:
        status = int(result["statusCode"])
        own_headers = {str(name).lower(): str(value) for name, value in (result.get("headers") or {}).items()}
        body = result.get("body") or ""
        content = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else str(body).encode()
    except (ValueError, TypeError, AttributeError):
        return refusal(500, "Internal Server Error")
    cookies = [("set-cookie", str(cookie)) for cookie in result.get("cookies") or []]
    headers = (*({"content-type": "text/plain;charset=UTF-8"} | own_headers).items(), *cookies)
    if not 100 <= status <= 599 or any(BREAKS.search(name + value) for name, value in headers):
        return refusal(500, "Internal Server Error")
    # API Gateway renames or drops these:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
    passed_on = tuple(
        (name, value) for name, value in headers if name not in ("content-length", "connection", "transfer-encoding")
    )
    return Response(status, content, passed_on)
