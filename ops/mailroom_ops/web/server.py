"""An HTTP/1.1 server on loopback: parses each request with h11, passes it to a function and sends what that returns.

h11, because it is strict and keeps connections. Werkzeug's server (3.1.9, tried 2026-11) closes each connection, takes
the last of two lengths, and reads `Content-Length : 5` as no length and drops every header after it.
"""

import socket
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import h11

__all__ = ["Request", "Response", "Server", "refusal"]

BODY_LIMIT = 10 * 1024 * 1024  # API Gateway's
DRAIN_LIMIT = 10 * BODY_LIMIT  # a client that is still sending does not read our answer
DRAIN_SECONDS = 2.0  # between two pieces
HEADER_LIMIT = 64 * 1024
READ_SIZE = 64 * 1024
IDLE_SECONDS = 75.0  # Logto reuses connections that were idle for 5 s: do not close one just then
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
REFUSALS = {413: "Request Entity Too Large", 431: "Request Header Fields Too Large"}  # anything else: Bad Request


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `headers` in their order, names in lower case."""

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
        """Return the values of a header, joined by commas; empty where it is missing."""
        return ",".join(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class Response:
    """A response. A body that is not bytes is a stream, sent piece by piece until it ends or the client leaves."""

    status: int
    body: bytes | Generator[bytes, None, None] = b""
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: int, message: str) -> Response:
    """Return an error response in API Gateway's format."""
    return Response(status, b'{"message":"%s"}' % message.encode(), (("content-type", "application/json"),))


class Server(ThreadingTCPServer):
    """Listens from the start, with a thread for each connection; `port` 0 takes any free port.

    Raises OSError when the port is taken.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer

    @property
    def server_port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Connection(BaseRequestHandler):
    request: socket.socket
    server: Server

    def handle(self) -> None:
        self.request.settimeout(IDLE_SECONDS)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)
        try:
            while request := self._receive():
                self._send(self.server.answer(request), with_body=request.method != "HEAD")
                if self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _receive(self) -> Request | None:
        """Return the next request; None when the client has closed the connection."""
        head = self._next_event()
        if not isinstance(head, h11.Request):
            return None
        # Both lengths at once are how requests are smuggled. https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        names = {name for name, _ in head.headers}
        if head.http_version not in (b"1.0", b"1.1") or names >= {b"content-length", b"transfer-encoding"}:
            raise h11.RemoteProtocolError("unknown version, or two lengths")
        length = int(dict(head.headers).get(b"content-length", 0))
        if length > BODY_LIMIT and self._http.they_are_waiting_for_100_continue:
            raise h11.RemoteProtocolError("the body is too large", 413)
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers)
        method, target = head.method.decode("ascii"), head.target.decode("ascii")
        return Request(method, target, headers, self._receive_body(), self.client_address[0])

    def _receive_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := self._next_event(), h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT:
                raise h11.RemoteProtocolError("the body is too large", 413)
        return bytes(body)

    def _next_event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self.request.sendall(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._http.receive_data(self._read())
        return event

    def _read(self) -> bytes:
        try:
            return self.request.recv(READ_SIZE)
        except TimeoutError:
            return b""  # idle for too long: as if the client had left

    def _refuse(self, status: int) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status = status if status < 500 else 400
            response = refusal(status, REFUSALS.get(status, "Bad Request"))
            self._send(Response(status, response.body, (*response.headers, ("connection", "close"))))
            self._drain()

    def _drain(self) -> None:
        """Read what the client still sends, up to a limit: to close before would take the answer from it."""
        left = DRAIN_LIMIT
        try:
            self.request.settimeout(DRAIN_SECONDS)
            self.request.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self._read()):
                left -= len(piece)
        except OSError:
            pass  # the client has left

    def _send(self, response: Response, *, with_body: bool = True) -> None:
        body, with_body = response.body, with_body and response.status not in BODILESS
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        if isinstance(body, bytes) and response.status not in BODILESS:
            headers.append((b"content-length", b"%d" % len(body)))
        phrase = HTTPStatus(response.status).phrase if response.status in HTTPStatus._value2member_map_ else ""
        try:
            head = h11.Response(status_code=response.status, headers=headers, reason=phrase)
        except h11.LocalProtocolError:  # a function may return any header
            return self._send(refusal(500, "Internal Server Error"), with_body=with_body)
        if isinstance(body, bytes):
            return self._write(head, *([h11.Data(data=body)] if with_body else []), h11.EndOfMessage())
        with closing(body):
            self._write(head)
            for piece in body if with_body else ():
                self._write(h11.Data(data=piece))
        return self._write(h11.EndOfMessage())

    def _write(self, *events: h11.Event) -> None:
        self.request.sendall(b"".join(self._http.send(event) or b"" for event in events))
