"""The local HTTP API behaves like API Gateway: a real server in front of functions that only record events."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailroom_ops.local.front_door import FrontDoor
from mailroom_ops.local.gateway import Gateway, Route, Throttle, to_response
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.runtime_api import InvocationResult
from tests.running import Answer
from tests.serving import ask, send_raw, serving

ROUTES = [
    Route("ANY", "/things/{name}", "thing"),
    Route("GET", "/things/{name}", "read"),
    Route("ANY", "/things/fixed", "fixed"),
    Route("POST", "/only", "post"),
    Route("ANY", "/all/{rest+}", "all"),
]


@dataclass
class Endpoint:
    """An HTTP API in front of functions that return `result`; keeps their events and the gateway's reports."""

    result: InvocationResult = field(default_factory=lambda: InvocationResult(b'{"statusCode": 204}'))
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    reports: list[Mapping[str, str]] = field(default_factory=list)
    port: int = 0

    def gateway(self, throttle: tuple[float, float] = (0, 0)) -> Gateway:
        return Gateway(ROUTES, throttle, self.invoke, self.reports.append)

    def invoke(self, name: str, event: bytes) -> InvocationResult:
        self.calls.append((name, json.loads(event)))
        return self.result

    @property
    def event(self) -> dict[str, Any]:
        return self.calls[-1][1]

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return ask(self.port, method, path, body, headers)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    with serving(FrontDoor([], endpoint.gateway().answer, Logs(out=None)).answer) as endpoint.port:
        yield endpoint


@pytest.mark.parametrize(
    ("method", "path", "function", "parameters"),
    [
        ("POST", "/things/one", "thing", {"name": "one"}),
        ("GET", "/things/one", "read", {"name": "one"}),
        ("GET", "/things/fixed", "fixed", None),
        ("GET", "/things/a%2Fb%20c%C3%A9", "read", {"name": "a/b cé"}),
        ("POST", "/only", "post", None),
        ("DELETE", "/all/the/rest", "all", {"rest": "the/rest"}),
        ("POST", "/only?a=1&a=2&b=", "post", None),
    ],
)
def test_the_most_specific_route_gets_the_request(
    endpoint: Endpoint, method: str, path: str, function: str, parameters: dict[str, str] | None
) -> None:
    assert endpoint.ask(method, path).status == 204

    name, event = endpoint.calls[0]
    assert name == function
    assert event.get("pathParameters") == parameters


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/only"),
        ("GET", "/nothing"),
        ("GET", "/things/"),
        ("GET", "/things/one/"),
        ("GET", "/things/a/b"),
        ("GET", "//"),
    ],
)
def test_without_a_route_the_answer_is_api_gateways_404(endpoint: Endpoint, method: str, path: str) -> None:
    answer = endpoint.ask(method, path)

    assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
    assert endpoint.calls == []


def test_the_event_has_api_gateways_format(endpoint: Endpoint) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "got", "X-Two": "a", "Cookie": "a=1; b=2"}

    endpoint.ask("POST", "/things/one?q=a%20b&q=c&empty=", '{"a": "ü"}'.encode(), headers)

    event = endpoint.event
    assert event["version"] == "2.0"
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "ANY /things/{name}"
    assert event["rawPath"] == "/things/one"
    assert event["rawQueryString"] == "q=a%20b&q=c&empty="
    assert event["queryStringParameters"] == {"q": "a b,c", "empty": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-two"] == "a"
    assert event["headers"]["content-length"] == "11"
    assert "cookie" not in event["headers"]
    assert event["body"] == '{"a": "ü"}'
    assert event["isBase64Encoded"] is False
    http_part = event["requestContext"]["http"]
    assert (http_part["method"], http_part["path"], http_part["sourceIp"]) == ("POST", "/things/one", "127.0.0.1")
    assert http_part["userAgent"] == "got"
    assert event["requestContext"]["stage"] == "$default"
    assert isinstance(event["requestContext"]["timeEpoch"], int)


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("application/json", b"{}", True),
        ("application/json; charset=utf-8", b"{}", True),
        ("TEXT/PLAIN", b"hello", True),
        ("application/xml", b"<a/>", True),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("application/octet-stream", b"\x00\x01", False),
        ("application/json", b"\xff\xfe", False),
        ("", b"{}", False),
    ],
)
def test_only_text_arrives_as_text(endpoint: Endpoint, content_type: str, body: bytes, is_text: bool) -> None:
    endpoint.ask("POST", "/only", body, {"content-type": content_type} if content_type else {})

    event = endpoint.event
    assert event["isBase64Encoded"] is not is_text
    assert (event["body"].encode() if is_text else base64.b64decode(event["body"])) == body


def test_a_repeated_header_arrives_joined(endpoint: Endpoint) -> None:
    send_raw(endpoint.port, b"GET /things/one HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\nconnection: close\r\n\r\n")

    assert endpoint.event["headers"]["x-a"] == "1,2"


def test_the_functions_result_becomes_the_response(endpoint: Endpoint) -> None:
    headers = {"content-type": "text/plain", "x-number": 3}
    endpoint.result = InvocationResult(
        json.dumps({"statusCode": 422, "headers": headers, "body": "Grüße", "cookies": ["a=1", "b=2"]}).encode()
    )

    answer = endpoint.ask("POST", "/only")

    assert (answer.status, answer.text) == (422, "Grüße")
    assert (answer.headers["content-type"], answer.headers["x-number"]) == ("text/plain", "3")


@pytest.mark.parametrize(
    ("payload", "status", "body"),
    [
        (
            {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True},
            200,
            b"\x00\xff",
        ),
        ({"message": "no status code"}, 200, b'{"message": "no status code"}'),
        ("just text", 200, b"just text"),
        (None, 200, b"null"),
        ({"statusCode": "201"}, 201, b""),
        ({"statusCode": "soon"}, 500, b'{"message":"Internal Server Error"}'),
        ({"statusCode": 99}, 500, b'{"message":"Internal Server Error"}'),
        ({"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}}, 500, b'{"message":"Internal Server Error"}'),
        ({"statusCode": 200, "headers": []}, 200, b""),
        ({"statusCode": 200, "headers": "x"}, 500, b'{"message":"Internal Server Error"}'),
    ],
)
def test_a_functions_result_is_read_as_api_gateway_reads_it(payload: Any, status: int, body: bytes) -> None:
    response = to_response(json.dumps(payload).encode())

    assert (response.status, response.body) == (status, body)


def test_a_failed_function_is_a_500_without_its_message(endpoint: Endpoint) -> None:
    endpoint.result = InvocationResult.failure("ValueError", "a secret")

    answer = endpoint.ask("POST", "/only")

    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
    assert [(report["routeKey"], report["status"]) for report in endpoint.reports] == [("POST /only", "500")]


def test_the_report_names_the_route_and_not_the_path(endpoint: Endpoint) -> None:
    endpoint.ask("POST", "/things/secret-of-a-provider?key=1")

    (report,) = endpoint.reports
    assert (report["httpMethod"], report["routeKey"], report["status"]) == ("POST", "ANY /things/{name}", "204")
    assert "secret-of-a-provider" not in repr(report)


def test_event_response_and_report_have_the_same_request_id(endpoint: Endpoint) -> None:
    answers = [endpoint.ask("POST", "/only") for _ in range(2)]

    ids = [answer.headers["apigw-requestid"] for answer in answers]
    assert ids[0] != ids[1]
    assert [event["requestContext"]["requestId"] for _, event in endpoint.calls] == ids
    assert [report["requestId"] for report in endpoint.reports] == ids


def test_head_reaches_the_function_and_gets_no_body(endpoint: Endpoint) -> None:
    endpoint.result = InvocationResult(b'{"statusCode": 405, "body": "Use POST."}')

    answer = endpoint.ask("HEAD", "/things/one")

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["content-length"] == "9"
    assert endpoint.event["requestContext"]["http"]["method"] == "HEAD"


def test_an_unusual_method_is_answered(endpoint: Endpoint) -> None:
    assert endpoint.ask("PROPFIND", "/only").status == 404
    assert endpoint.ask("PROPFIND", "/things/one").status == 204


def test_a_throttle_admits_a_burst_and_then_refuses() -> None:
    throttle = Throttle(rate=0.001, burst=3)

    assert [throttle.admits() for _ in range(5)] == [True, True, True, False, False]
    assert all(Throttle().admits() for _ in range(1000))


def test_a_throttled_route_answers_429_and_others_go_on() -> None:
    endpoint = Endpoint()
    with serving(endpoint.gateway((0.001, 1)).answer) as endpoint.port:
        requests = (("POST", "/only"), ("POST", "/only"), ("GET", "/things/a"))
        statuses = [endpoint.ask(method, path).status for method, path in requests]

    assert statuses == [204, 429, 204]
