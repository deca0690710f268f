"""The HTTP sandbox: all providers, each below a path of its own, with one inbox and fault injection.

/{provider}/…      the provider's own API
GET    /inbox.json the received mails          DELETE /inbox.json
POST   /faults     {provider, kind, count, …}  DELETE /faults
GET    /faults     the pending faults, and the number of requests to each provider
"""

import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any, Self

from mailroom.providers import NAMES
from mailroom_ops.sandbox.faults import Fault, Faults, Kind
from mailroom_ops.sandbox.inbox import Inbox
from mailroom_ops.sandbox.provider import ProviderStub, RateLimit, Reply, Request, json_reply

__all__ = ["Sandbox", "stubs"]

NOT_THE_PROVIDER = Reply(200, b"<html><body>It works!</body></html>", {"content-type": "text/html"})
FIN_SECONDS = 5.0  # at most, until a client acknowledges the end of its connection
# ESTABLISHED, FIN_WAIT1, LAST_ACK and CLOSING, as TCP_INFO numbers them: https://man7.org/linux/man-pages/man7/tcp.7.html
UNACKNOWLEDGED = (1, 4, 9, 11)
HANGS = (Kind.HANG, Kind.HANG_AFTER_ACCEPT)
ENDLESS = {Kind.FLOOD: (b" " * 65536, 0.0), Kind.DRIP: (b" ", 0.02)}  # chunk, seconds between chunks


def stubs() -> list[ProviderStub]:
    """Return a stub of each provider whose module here has a `STUB`: not of SMTP and SES, which need other servers."""
    modules = [import_module(f"mailroom_ops.sandbox.{name}") for name in NAMES]
    return [module.STUB() for module in modules if hasattr(module, "STUB")]


class Sandbox:
    """A server of all providers on one loopback port, running within a `with` block."""

    def __init__(
        self,
        inbox: Inbox | None = None,
        *,
        port: int = 0,
        rates: Mapping[str, int] | None = None,
        providers: Iterable[ProviderStub] | None = None,
    ) -> None:
        self.inbox = inbox or Inbox()
        self.faults = Faults()
        self.stubs = {stub.name: stub for stub in providers or stubs()}
        self.requests: Counter[str] = Counter()
        self._limits = {name: _Limit(rate) for name, rate in (rates or {}).items()}
        self._counted = threading.Lock()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def settings(self, provider: str) -> dict[str, str]:
        """Return the settings below `providers/{name}/` with which Mailroom sends to this sandbox."""
        return self.stubs[provider].settings(f"{self.url}/{provider}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop as a crashed server does: the port is closed, and all connections are cut."""
        self.faults.clear()
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()
        self._thread.join()

    def count(self, provider: str) -> None:
        with self._counted:
            self.requests[provider] += 1

    def answer(self, stub: ProviderStub, request: Request, fault: Fault | None) -> Reply:
        """Return a provider's answer within its rate limit, changed by a fault."""
        match fault:
            case Fault(Kind.STATUS, status=status):
                return stub.error(status)
            case Fault(Kind.REPLY, status=status, body=body, headers=headers):
                return Reply(status, body.encode(), headers)
            case Fault(Kind.RATE_LIMIT, seconds=seconds):
                return stub.throttled(RateLimit(0, 0, seconds))
            case Fault(Kind.HANG):
                return NOT_THE_PROVIDER
        rate = self._limits[stub.name].take() if stub.name in self._limits else None
        if rate and rate.remaining < 0:
            return stub.throttled(rate._replace(remaining=0))
        reply = stub.answer(request, lambda: self._work(fault))
        for mail in reply.mails:
            self.inbox.add(mail)
        if fault and fault.kind is Kind.GARBAGE:
            return NOT_THE_PROVIDER
        if rate:
            return Reply(reply.status, reply.body, {**reply.headers, **stub.rate_headers(rate)})
        return reply

    def _work(self, fault: Fault | None) -> None:
        match fault:
            case Fault(Kind.DELAY, seconds=seconds):
                time.sleep(seconds)
            case Fault(Kind.HOLD):
                self.faults.hold()

    def control(self, request: Request) -> Reply:
        """Return the answer to a request to the sandbox's own paths."""
        match request.method, request.path:
            case "GET", "/inbox.json":
                return json_reply(200, [mail.to_json() for mail in self.inbox.all()])
            case "DELETE", "/inbox.json":
                self.inbox.clear()
                return Reply(204)
            case "GET", "/faults":
                return json_reply(200, {"pending": self.faults.pending(), "requests": dict(self.requests)})
            case "DELETE", "/faults":
                self.faults.clear()
                return Reply(204)
            case "POST", "/faults":
                return self._add_fault(request.json())
        return json_reply(404, {"message": f"unknown path: use /inbox.json, /faults, {self._paths()}"})

    def _add_fault(self, values: Any) -> Reply:
        try:
            fault = Fault.from_json(values)
            provider, count = values.get("provider"), int(values.get("count", 1))
        except ValueError as error:
            return json_reply(400, {"message": str(error)})
        providers = (*self.stubs, "smtp")  # the SMTP sandbox may share these faults
        if provider not in providers:
            return json_reply(400, {"message": f"unknown provider: use {', '.join(providers)}"})
        self.faults.add(provider, fault, count)
        return Reply(204)

    def _paths(self) -> str:
        return ", ".join(f"/{name}/…" for name in self.stubs)


class _Limit:
    """A rate limit in requests per second, counted in fixed windows as most providers do."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._opened = 0.0
        self._used = 0

    def take(self) -> RateLimit:
        with self._lock:
            now = time.monotonic()
            if now - self._opened >= 1.0:
                self._opened, self._used = now, 0
            self._used += 1
            return RateLimit(self._rate, self._rate - self._used, self._opened + 1.0 - now)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Cut all connections, and return once each client can see it: a busy machine may deliver a FIN later."""
        for connection in list(self._open):
            with suppress(OSError), connection.dup() as same:  # the thread of a connection closes it at any time
                same.shutdown(socket.SHUT_RDWR)
                _wait_until_seen(same)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed the connection: tests do so on purpose."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _wait_until_seen(connection: socket.socket) -> None:
    """Wait until the client's side has acknowledged the FIN of a connection, where the system shows it."""
    end = time.monotonic() + FIN_SECONDS
    while sys.platform == "linux" and time.monotonic() < end:
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state not in UNACKNOWLEDGED:
            return
        time.sleep(0.001)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        sandbox = self.server.sandbox
        provider, slash, rest = self.path.removeprefix("/").partition("/")
        stub = sandbox.stubs.get(provider)
        if stub is None:
            self._send(sandbox.control(Request(self.command, self.path, self.headers, self._body())))
            return
        sandbox.count(provider)
        fault = sandbox.faults.take(provider)
        if fault and fault.kind is Kind.RESET_BEFORE_BODY:
            self._reset()
            return
        request = Request(self.command, slash + rest, self.headers, self._body())
        reply = sandbox.answer(stub, request, fault)
        if fault and fault.kind is Kind.RESET_AFTER_ACCEPT:
            self._reset()
        elif fault and fault.kind in HANGS:
            self.connection.recv(1)
            self.close_connection = True
        elif fault and fault.kind in ENDLESS:
            self._send_without_end(*ENDLESS[fault.kind])
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, reply: Reply) -> None:
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        lines = [
            f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)

    def _send_without_end(self, chunk: bytes, pause: float) -> None:
        """Send chunks until the client closes the connection."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while True:
            self.wfile.write(chunk)
            time.sleep(pause)

    def _reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests contain codes."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
