"""The HTTP client: what it reads against http.client, its limits, and connections that are used again."""

import http.client
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.network.http import Answer, Connections, EndlessAnswer, Limits, NoAnswer, Proxy, Unreachable, Url
from mailroom.network.tls import tls_context

LIMITS = Limits(connect=2.0, read=2.0, total=5.0, idle=20.0, size=100_000)
URL = "http://127.0.0.1:9/"

Pieces = list[bytes]


@dataclass
class Server:
    """Answers the n-th request of all connections with the n-th script; an empty piece ends the connection."""

    scripts: list[Pieces]
    pause: float = 0.0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def serve(self, listener: socket.socket) -> None:
        while self.scripts:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while self.scripts and (request := read_request(connection)):
            self.requests.append(request)
            pieces = self.scripts.pop(0)
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    return
                time.sleep(self.pause)
            if not pieces or pieces[-1] == b"":
                return


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(*scripts: Pieces, pause: float = 0.0) -> Iterator[tuple[Server, Url]]:
    server = Server(list(scripts), pause)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.serve, args=[listener], daemon=True)
        thread.start()
        yield server, Url.parse(f"http://127.0.0.1:{listener.getsockname()[1]}/path?query=1")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@contextmanager
def connections(limits: Limits = LIMITS, proxy: Proxy | None = None) -> Iterator[Connections]:
    with closing(Connections(lambda: limits, tls_context, proxy)) as opened:
        yield opened


EMPTY = (b"204", b"304")  # the statuses whose answers have no body
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# --- Reading, against http.client


class Wire:
    """A socket of http.client that has received everything already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def read_by_http_client(content: bytes) -> tuple[int, str | None, bytes]:
    response = http.client.HTTPResponse(Wire(content), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response.status, response.getheader("x-any"), response.read()


def chunked(body: bytes, size: int, end: bytes, extension: bytes, trailer: bytes) -> bytes:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x%s%s%s%s" % (len(chunk), extension, end, chunk, end) for chunk in chunks) + (
        b"0" + end + trailer + end
    )


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return an answer in one of the forms that servers have."""
    form = draw(st.sampled_from(["length", "chunked", "end"]))
    end = b"\r\n" if form == "chunked" else draw(st.sampled_from([b"\r\n", b"\n"]))
    body = draw(st.binary(max_size=300))
    status = draw(st.sampled_from([b"200 OK", b"202 ", b"204 No Content", b"304 x", b"400 Bad", b"500 Oops", b"201"]))
    version = draw(st.sampled_from([b"1.0", b"1.1"]))
    values = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x85\xa0"), max_size=20)
    lines = [b"HTTP/" + version + b" " + status, b"X-Any: " + draw(values).encode("latin-1")]
    if form == "length":
        lines.append(b"content-LENGTH: %d" % len(body))
    elif form == "chunked" and version == b"1.1" and status[:3] not in EMPTY:
        lines.append(b"Transfer-Encoding: chunked")
        extension = draw(st.sampled_from([b"", b";name=value"]))
        trailer = draw(st.sampled_from([b"", b"X-Trailer: 1" + end]))
        body = chunked(body, draw(st.integers(1, 60)), end, extension, trailer)
    lines += draw(st.sampled_from([[], [b"Connection: close"], [b"Connection: keep-alive"]]))
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue" + end * 2]))
    return interim + end.join([*lines, b"", b""]) + (b"" if status[:3] in EMPTY else body)


@settings(deadline=None, max_examples=150)
@given(content=answers(), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_an_answer_in_any_pieces_reads_as_by_http_client(content: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    pieces = [content[start:stop] for start, stop in pairwise(places)]

    with serving([*pieces, b""]) as (_, url), connections() as client:
        answer = client.request("POST", url, {}, b"request")

    assert (answer.status, answer.headers.get("x-any"), answer.content) == read_by_http_client(content)


@settings(deadline=None, max_examples=100)
@given(
    content=st.binary(max_size=200)
    | answers().flatmap(lambda whole: st.integers(0, len(whole)).map(lambda n: whole[:n]))
)
def test_any_bytes_are_an_answer_or_no_answer(content: bytes) -> None:
    with serving([content, b""]) as (_, url), connections() as client, suppress(NoAnswer):
        assert isinstance(client.request("POST", url, {}), Answer)


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokmore\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: line\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
    ids=lambda content: content[-30:].decode(),
)
def test_a_broken_answer_is_no_answer(content: bytes) -> None:
    with serving([content, b""]) as (_, url), connections() as client, pytest.raises(NoAnswer):
        client.request("POST", url, {})


# --- Limits


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"9000\r\n" + b" " * 0x9000 + b"\r\n"] * 3],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * 40_000] * 3],
    ],
    ids=["length", "chunked", "end"],
)
def test_an_answer_larger_than_the_limit_is_given_up(pieces: Pieces) -> None:
    with serving(pieces) as (_, url), connections() as client, pytest.raises(EndlessAnswer):
        client.request("POST", url, {})


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Any: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Any: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"x"),
    ],
    ids=["headers", "one header", "interim answers", "body"],
)
def test_a_slow_endless_answer_ends_with_the_total_limit(head: bytes, drip: bytes) -> None:
    pieces = [head + drip, *[drip] * 50]
    limits = replace_limits(total=0.3)
    with serving(pieces, pause=0.02) as (_, url), connections(limits) as client, pytest.raises(EndlessAnswer):
        client.request("POST", url, {})


def replace_limits(**values: float) -> Limits:
    fields = {name: getattr(LIMITS, name) for name in ("connect", "read", "total", "idle", "size")}
    return Limits(**{**fields, **values})


def test_a_silent_server_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, connections(replace_limits(read=0.1)) as client:
        url = Url.parse(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(NoAnswer, match="TimeoutError"):
            client.request("POST", url, {})


# --- Connections


def test_requests_share_a_connection() -> None:
    with serving([OK], [OK], [OK]) as (server, url), connections() as client:
        assert [client.request("POST", url, {"X-Any": "1"}, b"body").content for _ in range(3)] == [b"ok"] * 3

    assert server.connections == 1
    host = f"Host: {url.authority}".encode()
    assert server.requests[0].split(b"\r\n") == [
        *(b"POST /path?query=1 HTTP/1.1", host, b"X-Any: 1", b"Content-Length: 4", b"", b"body")
    ]


@pytest.mark.parametrize(
    "first",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\nok", b""],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b""],
        [b"HTTP/1.1 200 OK\r\n\r\nok", b""],
        [OK + b"HTTP/1.1 200 OK\r\n", b""],
        [OK, b""],
    ],
    ids=["close", "HTTP/1.0", "until the end", "more than an answer", "closed after it"],
)
def test_a_connection_that_the_server_ended_is_not_used_again(first: Pieces) -> None:
    with serving(first, [OK]) as (server, url), connections() as client:
        client.request("POST", url, {})
        wait_until(lambda: server.scripts == [[OK]])
        time.sleep(0.02)  # until the end of the connection has arrived
        assert client.request("POST", url, {}).content == b"ok"

    assert (server.connections, len(server.requests)) == (2, 2)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_connection_idle_for_too_long_is_not_used_again() -> None:
    with serving([OK, b""], [OK]) as (server, url), connections(replace_limits(idle=0.0)) as client:
        client.request("POST", url, {})
        client.request("POST", url, {})

    assert server.connections == 2


def test_a_request_that_got_no_answer_is_not_repeated() -> None:
    with serving([OK], [], [OK]) as (server, url), connections() as client:
        client.request("POST", url, {})
        with pytest.raises(NoAnswer):
            client.request("POST", url, {})
        assert len(server.requests) == 2

        client.request("POST", url, {})

    assert len(server.requests) == 3


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        url = Url.parse(f"http://127.0.0.1:{reserved.getsockname()[1]}/")
    with connections() as client, pytest.raises(Unreachable, match="ConnectionRefusedError"):
        client.request("POST", url, {})


def test_a_server_without_tls_is_unreachable() -> None:
    limits = replace_limits(connect=0.5)
    with serving([b"no TLS here\r\n", b""]) as (_, url), connections(limits) as client, pytest.raises(Unreachable):
        client.request("POST", url._replace(scheme="https"), {})


def test_a_line_break_in_a_header_is_refused() -> None:
    with serving([OK]) as (server, url), connections() as client:
        with pytest.raises(ValueError, match="line break"):
            client.request("POST", url, {"X-Any": "1\r\nX-Other: 2"})
        server.scripts.clear()

    assert server.requests == []


def test_several_threads_send_at_the_same_time() -> None:
    with serving(*[[OK]] * 40) as (server, url), connections() as client:
        threads = [threading.Thread(target=lambda: [client.request("POST", url, {}) for _ in range(10)]) for _ in "ab"]
        for thread in threads:
            thread.start()
            thread.join()

    assert len(server.requests) == 20


# --- Addresses and proxies


@pytest.mark.parametrize(
    ("text", "parsed", "authority"),
    [
        ("https://api.example.com", ("https", "api.example.com", 443, "/"), "api.example.com"),
        ("https://api.example.com:443/a", ("https", "api.example.com", 443, "/a"), "api.example.com"),
        ("http://LocalHost:8080/a/b?c=d&e", ("http", "localhost", 8080, "/a/b?c=d&e"), "localhost:8080"),
        ("https://[::1]:8443/", ("https", "::1", 8443, "/"), "[::1]:8443"),
        (
            "https://straße.example/ä b%20c",
            ("https", "xn--strae-oqa.example", 443, "/%C3%A4%20b%20c"),
            "xn--strae-oqa.example",
        ),
    ],
)
def test_an_address_is_parsed_as_it_is_sent(text: str, parsed: tuple[str, str, int, str], authority: str) -> None:
    assert Url.parse(text) == parsed
    assert Url.parse(text).authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail",
        "ftp://example.com/",
        "https://",
        "https://a b/",
        "https://user:x@example.com/",
        "https://[::1",
        "https://a:b/",
    ],
)
def test_any_other_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of urllib or of ours
        Url.parse(text)


def test_an_https_address_is_reached_through_a_tunnel_of_the_proxy() -> None:
    tunnel = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with serving([tunnel, b""]) as (server, url):
        proxy = Proxy.parse(f"http://user:p%40ss@{url.authority}")
        with connections(proxy=proxy) as client, pytest.raises(Unreachable):
            client.request("POST", Url.parse("https://api.example.com/"), {})

    [request] = server.requests
    assert request.startswith(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in request


def test_a_proxy_that_needs_tls_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="not an http address"):
        Proxy.parse("https://proxy.example.com:3128")
