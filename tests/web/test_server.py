"""The HTTP server: what it accepts, what it refuses, and that no client keeps the others waiting."""

import http.client
import socket
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import pytest

from mailroom_ops.web.server import BODY_LIMIT, HEADER_LIMIT, Request, Response
from tests.serving import ask, send_raw, serving

HOST = b"host: x\r\n"


@dataclass
class Echo:
    """A server that returns each body and keeps each request."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    response: Response | None = None

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self.response or Response(200, request.body)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    with serving(echo.answer) as echo.port:
        yield echo


def test_a_request_arrives_whole(echo: Echo) -> None:
    headers = {"X-A": "1", "Accept-Encoding": "identity"}

    answer = ask(echo.port, "PUT", "/a%2Fb%20c?q=1&q=2", b"body", headers)

    assert (answer.status, answer.body) == (200, b"body")
    (request,) = echo.requests
    assert (request.method, request.target) == ("PUT", "/a%2Fb%20c?q=1&q=2")
    assert (request.raw_path, request.path, request.query) == ("/a%2Fb%20c", "/a/b c", "q=1&q=2")
    assert (request.header("x-a"), request.header("x-b"), request.peer) == ("1", "", "127.0.0.1")


def test_a_repeated_header_is_joined_and_a_folded_one_is_one_line(echo: Echo) -> None:
    send_raw(echo.port, b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nx-a: 2\r\nx-b: one\r\n two\r\n\r\n")

    (request,) = echo.requests
    assert (request.header("x-a"), request.header("x-b")) == ("1,2", "one two")


@pytest.mark.parametrize("size", [BODY_LIMIT, BODY_LIMIT + 1])
def test_ten_megabytes_pass_and_one_byte_more_does_not(echo: Echo, size: int) -> None:
    answer = ask(echo.port, "POST", "/", b"x" * size)

    assert answer.status == (200 if size == BODY_LIMIT else 413)
    assert len(echo.requests) == (1 if size == BODY_LIMIT else 0)


def test_a_body_in_chunks_arrives_whole(echo: Echo) -> None:
    assert ask(echo.port, "POST", "/", iter([b'{"a":', b"1}"])).body == b'{"a":1}'


def test_too_many_chunks_are_too_large(echo: Echo) -> None:
    chunk = b"x" * (1024 * 1024)

    assert ask(echo.port, "POST", "/", (chunk for _ in range(11))).status == 413
    assert echo.requests == []


@pytest.mark.parametrize(("size", "first"), [(1, b"HTTP/1.1 100 "), (BODY_LIMIT + 1, b"HTTP/1.1 413 ")])
def test_a_client_that_expects_100_learns_whether_its_body_fits(echo: Echo, size: int, first: bytes) -> None:
    with socket.create_connection(("127.0.0.1", echo.port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n%sexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (HOST, size))
        assert connection.recv(65536).startswith(first)
        if size == 1:
            connection.sendall(b"x")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\r\n\r\n", id="nothing"),
        pytest.param(b"nonsense\r\n\r\n", id="no request line"),
        pytest.param(b"GET\r\n\r\n", id="no target"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", id="unknown version"),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: x\r\n\r\n", id="length is no number"),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"content-length : 5\r\n\r\nhello", id="blank before the colon"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx", id="two lengths"
        ),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 10\r\n\r\nshort", id="short body"),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: gzip\r\n\r\n", id="unknown encoding"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
            id="chunks and a length",
        ),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n", id="bad chunk"),
        pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n-5\r\n\r\n", id="minus chunk"),
        pytest.param(b"GET /" + b"a" * 3 * HEADER_LIMIT + b" HTTP/1.1\r\n" + HOST + b"\r\n", id="long target"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * HEADER_LIMIT + b"\r\n", id="many headers"),
    ],
)
def test_what_is_not_a_request_is_refused_and_ends_the_connection(echo: Echo, data: bytes) -> None:
    answer = send_raw(echo.port, data)

    assert answer == b"" or (answer.startswith(b"HTTP/1.1 4") and b"\r\nconnection: close\r\n" in answer.lower())
    assert echo.requests == []


def test_a_client_that_is_still_sending_reads_the_refusal(echo: Echo) -> None:
    answer = send_raw(echo.port, b"GET /" + b"a" * 40 * HEADER_LIMIT + b" HTTP/1.1\r\n" + HOST + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_body_is_never_read_as_a_second_request(echo: Echo) -> None:
    send_raw(echo.port, b"POST /1 HTTP/1.1\r\n%scontent-length : 5\r\n\r\nGET /2 HTTP/1.1\r\n%s\r\n" % (HOST, HOST))

    assert echo.requests == []


def test_one_connection_serves_many_requests(echo: Echo) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=20)
    connection.connect()
    first = connection.sock
    for number in range(3):
        connection.request("POST", "/", b"%d" % number)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"%d" % number)
        assert response.getheader("connection") is None
        assert connection.sock is first
    connection.close()


def test_requests_sent_at_once_are_answered_in_order(echo: Echo) -> None:
    request = b"GET /%d HTTP/1.1\r\n" + HOST + b"\r\n"

    answer = send_raw(echo.port, request % 1 + request % 2)

    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [request.target for request in echo.requests] == ["/1", "/2"]


def test_slow_clients_do_not_keep_others_waiting(echo: Echo) -> None:
    slow = [socket.create_connection(("127.0.0.1", echo.port), timeout=20) for _ in range(50)]
    for number, connection in enumerate(slow):
        connection.sendall((b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 9\r\n\r\nhalf")[: 20 + number])

    assert ask(echo.port, "GET", "/").status == 200

    for connection in slow:
        connection.close()


def test_head_gets_the_headers_without_the_body(echo: Echo) -> None:
    echo.response = Response(405, b"Use POST.")

    answer = ask(echo.port, "HEAD", "/")

    assert (answer.status, answer.body, answer.headers["content-length"]) == (405, b"", "9")


def test_a_stream_is_sent_as_it_comes_and_ends_with_its_client(echo: Echo) -> None:
    ended, go_on = threading.Event(), threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        try:
            yield b"first\n"
            while not go_on.wait(0.01):
                yield b"more\n"
        finally:
            ended.set()

    echo.response = Response(200, pieces(), (("content-type", "text/event-stream"),))
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=20)
    connection.request("GET", "/")
    stream = connection.getresponse()
    assert stream.readline() == b"first\n"
    stream.close()
    connection.close()

    assert ended.wait(20)


@pytest.mark.parametrize("header", [("bad name", "a"), ("x", "a\r\nset-cookie: b"), ("x", "\0")])
def test_a_response_with_a_malformed_header_is_not_sent(echo: Echo, header: tuple[str, str]) -> None:
    echo.response = Response(200, b"", (header,))

    answer = ask(echo.port, "GET", "/")

    assert (answer.status, answer.json()) == (500, {"message": "Internal Server Error"})
