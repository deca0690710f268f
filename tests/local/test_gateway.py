"""The front door's HTTP, and its likeness to API Gateway: a real server, with a function that only writes down."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailroom_ops.local.front_door import FrontDoor
from mailroom_ops.local.gateway import Gateway, Route, Throttle, to_response
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.runtime_api import Outcome
from mailroom_ops.web.server import BODY_LIMIT, Server
from tests.running import Answer

ROUTES = [
    Route("ANY", "/things/{name}", "thing"),
    Route("GET", "/things/{name}", "read"),
    Route("ANY", "/things/fixed", "fixed"),
    Route("POST", "/only", "post"),
    Route("ANY", "/all/{rest+}", "all"),
]


@dataclass
class Door:
    """A front door before functions that answer `outcome` and keep what they were given."""

    outcome: Outcome = field(default_factory=lambda: Outcome(b'{"statusCode": 204}'))
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    reports: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0

    def invoke(self, name: str, event: bytes) -> Outcome:
        self.calls.append((name, json.loads(event)))
        return self.outcome

    @property
    def event(self) -> dict[str, Any]:
        return self.calls[-1][1]

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    gateway = Gateway(ROUTES, (0, 0), made.invoke, lambda route, status, _: made.reports.append((route, status)))
    with Server(0, FrontDoor([], gateway.answer, Logs(out=None)).answer) as server:
        made.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


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
    door: Door, method: str, path: str, function: str, parameters: dict[str, str] | None
) -> None:
    assert door.ask(method, path).status == 204

    name, event = door.calls[0]
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
def test_no_route_is_a_404_as_api_gateway_words_it(door: Door, method: str, path: str) -> None:
    answer = door.ask(method, path)

    assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
    assert door.calls == []


def test_the_event_has_the_form_that_api_gateway_gives_it(door: Door) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "got", "X-Two": "a", "Cookie": "a=1; b=2"}

    door.ask("POST", "/things/one?q=a%20b&q=c&empty=", '{"a": "ü"}'.encode(), headers)

    event = door.event
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
def test_only_text_arrives_as_text(door: Door, content_type: str, body: bytes, is_text: bool) -> None:
    door.ask("POST", "/only", body, {"content-type": content_type} if content_type else {})

    event = door.event
    assert event["isBase64Encoded"] is not is_text
    assert (event["body"].encode() if is_text else base64.b64decode(event["body"])) == body


def test_a_header_that_comes_twice_arrives_joined(door: Door) -> None:
    door.raw(b"GET /things/one HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\nconnection: close\r\n\r\n")

    assert door.event["headers"]["x-a"] == "1,2"


def test_the_functions_answer_becomes_the_response(door: Door) -> None:
    headers = {"content-type": "text/plain", "x-number": 3}
    door.outcome = Outcome(
        json.dumps({"statusCode": 422, "headers": headers, "body": "Grüße", "cookies": ["a=1", "b=2"]}).encode()
    )

    answer = door.ask("POST", "/only")

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
def test_what_a_function_returns_is_read_as_api_gateway_reads_it(payload: Any, status: int, body: bytes) -> None:
    response = to_response(json.dumps(payload).encode())

    assert (response.status, response.body) == (status, body)


def test_a_failed_function_is_a_500_without_its_words(door: Door) -> None:
    door.outcome = Outcome.failure("ValueError", "a secret")

    answer = door.ask("POST", "/only")

    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
    assert door.reports == [("POST /only", 500)]


def test_the_report_names_the_route_and_not_the_path(door: Door) -> None:
    door.ask("POST", "/things/secret-of-a-provider?key=1")

    assert door.reports == [("POST /things/{name}", 204)]


def test_head_gets_no_body(door: Door) -> None:
    door.outcome = Outcome(b'{"statusCode": 405, "body": "Use POST."}')

    answer = door.ask("HEAD", "/things/one")

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["content-length"] == "9"
    assert door.event["requestContext"]["http"]["method"] == "HEAD"


@pytest.mark.parametrize("size", [BODY_LIMIT, BODY_LIMIT + 1])
def test_ten_megabytes_pass_and_one_byte_more_does_not(door: Door, size: int) -> None:
    answer = door.ask("POST", "/only", b"x" * size, {"content-type": "text/plain"})

    assert answer.status == (204 if size == BODY_LIMIT else 413)
    assert len(door.calls) == (1 if size == BODY_LIMIT else 0)


def test_a_body_in_chunks_arrives_whole(door: Door) -> None:
    door.ask("POST", "/only", iter([b'{"a":', b"1}"]), {"content-type": "application/json"})

    assert door.event["body"] == '{"a":1}'


def test_too_many_chunks_are_too_large(door: Door) -> None:
    chunk = b"x" * (1024 * 1024)

    answer = door.ask("POST", "/only", (chunk for _ in range(11)), {"content-type": "text/plain"})

    assert answer.status == 413


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /only HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /only HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /only HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /only HTTP/1.1\r\ncontent-length: 10\r\n\r\nshort",
        b"POST /only HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /only HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
        b"POST /only HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /only HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /only HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    ],
)
def test_what_is_not_a_request_gets_a_4xx_or_a_hang_up(door: Door, data: bytes) -> None:
    answer = door.raw(data)

    assert answer == b"" or answer.split(b" ")[1].startswith(b"4")
    assert door.calls == []


def test_an_unheard_of_method_is_answered(door: Door) -> None:
    assert door.ask("PROPFIND", "/only").status == 404
    assert door.ask("PROPFIND", "/things/one").status == 204


def test_one_connection_serves_many_requests(door: Door) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("POST", "/only", b"{}", {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 204
        assert connection.sock is first
    connection.close()


def test_a_throttle_lets_a_burst_through_and_then_says_no() -> None:
    throttle = Throttle(rate=0.001, burst=3)

    assert [throttle.admits() for _ in range(5)] == [True, True, True, False, False]
    assert all(Throttle().admits() for _ in range(1000))


def test_a_throttled_route_answers_429_and_others_go_on() -> None:
    made = Door()
    gateway = Gateway(ROUTES, (0.001, 1), made.invoke, lambda *_: None)
    with Server(0, FrontDoor([], gateway.answer, Logs(out=None)).answer) as server:
        made.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        statuses = [
            made.ask("POST", "/only").status,
            made.ask("POST", "/only").status,
            made.ask("GET", "/things/a").status,
        ]
        server.shutdown()
        thread.join()

    assert statuses == [204, 429, 204]
