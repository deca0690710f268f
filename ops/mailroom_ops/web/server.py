"""A small HTTP/1.1 server on the loopback: reads a whole request, hands it to a function, writes what that returns."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Request", "Response", "Server", "refusal"]

BODY_LIMIT = 10 * 1024 * 1024  # API Gateway's
DRAIN_LIMIT = 10 * BODY_LIMIT
IDLE_SECONDS = 75.0  # Logto comes back on a connection that was idle for 5 s: do not race with it


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `headers` in their order, names in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    peer: str = "127.0.0.1"

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0] if self.target.startswith("/") else urlsplit(self.target).path or "/"

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back. A body that is not bytes is a stream: sent piece by piece until it ends."""

    status: int
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        return HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else ""


def refusal(status: int, message: str) -> Response:
    """Say no, as API Gateway words it."""
    return Response(status, b'{"message":"%s"}' % message.encode(), (("content-type", "application/json"),))


class Server(ThreadingHTTPServer):
    """Listens at once; `port` 0 takes any free one. OSError when the port is taken."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # and not 0.9, whose answers have no status
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._exchange
        raise AttributeError(name)

    def _exchange(self) -> None:
        body = self._read_body()
        if isinstance(body, Response):
            return self._write(body)
        headers = tuple((name.lower(), value.strip()) for name, value in self.headers.items())
        request = Request(self.command, self.path, headers, body, self.client_address[0])
        return self._write(self.server.answer(request))

    def _read_body(self) -> bytes | Response:
        coding, length = self.headers.get("Transfer-Encoding"), self.headers.get_all("Content-Length") or ["0"]
        if coding:
            chunked = coding.strip().lower() == "chunked" and "Content-Length" not in self.headers
            return self._read_chunks() if chunked else self._give_up(400, "Bad Request")
        if len(set(length)) > 1 or not length[0].isascii() or not length[0].isdigit():
            return self._give_up(400, "Bad Request")
        size = int(length[0])
        if size <= BODY_LIMIT:
            body = self.rfile.read(size)
            return body if len(body) == size else self._give_up(400, "Bad Request")
        # Who is still writing does not read our answer: take in what it has, within reason, before it gets one.
        left = min(size, DRAIN_LIMIT)
        while left > 0 and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)
        return self._give_up(413, "Request Entity Too Large")

    def _read_chunks(self) -> bytes | Response:
        body = bytearray()
        taken = 0
        while True:
            try:
                size = int(self.rfile.readline(64).partition(b";")[0].strip(), 16)
            except ValueError:
                return self._give_up(400, "Bad Request")
            if size < 0 or (taken := taken + size) > DRAIN_LIMIT:
                return self._give_up(413, "Request Entity Too Large")
            chunk = self.rfile.read(size)
            if len(body) <= BODY_LIMIT:
                body += chunk
            if self.rfile.readline(1024) not in (b"\r\n", b"\n") and size:
                return self._give_up(400, "Bad Request")
            if size == 0:
                return bytes(body) if len(body) <= BODY_LIMIT else self._give_up(413, "Request Entity Too Large")

    def _give_up(self, status: int, message: str) -> Response:
        self.close_connection = True
        return refusal(status, message)

    def _write(self, response: Response) -> None:
        whole = isinstance(response.body, bytes)
        self.send_response_only(response.status, response.reason)
        for name, value in response.headers:
            self.send_header(name, value)
        if isinstance(response.body, bytes):
            self.send_header("content-length", str(len(response.body)))
        if self.close_connection or not whole:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            for piece in [response.body] if isinstance(response.body, bytes) else response.body:
                self.wfile.write(piece)
                self.wfile.flush()
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what was not even a request in our own words, and never with a 5xx."""
        self.close_connection = True
        self.command = self.command or "GET"
        self._write(refusal(code if code < 500 else 400, "Bad Request"))

    def handle_expect_100(self) -> bool:
        length = self.headers.get("Content-Length", "0")
        if length.isascii() and length.isdigit() and int(length) > BODY_LIMIT:
            self._write(self._give_up(413, "Request Entity Too Large"))
            return False
        return super().handle_expect_100()

    def log_message(self, format: str, *args: object) -> None:
        pass
