"""A client of HTTP/1.1: one request at a time over a connection that stays open for the next.

Not httpx, which was a third of deliver's cold start and half of the CPU of a mail, nor http.client, which parses
headers like a mail, and limits the time of each read but not of the whole answer (docs/performance.md). The tests
compare it with http.client, for answers of every form in pieces of every size.
"""

import json
import re
import socket
import ssl
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from select import POLLIN, poll
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

from mailroom.model.hostnames import to_ascii

__all__ = ["Answer", "Connections", "EndlessAnswer", "Limits", "NoAnswer", "Proxy", "Transport", "Unreachable", "Url"]

MAX_HEAD_BYTES = 64 * 1024
MAX_IDLE_CONNECTIONS = 8  # of one address
RECEIVE_BYTES = 64 * 1024
HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:]+")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?")
CONTENT_LENGTH = re.compile(r"[0-9]{1,12}")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")


class Unreachable(Exception):
    """No connection could be made: nothing of the request has left."""


class NoAnswer(Exception):
    """The request may have arrived, but no complete answer came back."""


class EndlessAnswer(NoAnswer):
    """The answer is larger, or takes longer, than any true one."""


class Answer(NamedTuple):
    """A complete answer, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body; empty for any other body."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


class Url(NamedTuple):
    """An address to send requests to. `host` is in ASCII, `target` the path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Parse an http or https address without a password; raise ValueError for any other text."""
        parts = urlsplit(text)
        host = to_ascii(parts.hostname or "")
        if parts.scheme not in ("http", "https") or not HOST.fullmatch(host) or "@" in parts.netloc:
            raise ValueError("not an http or https address")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        query = f"?{parts.query}" if parts.query else ""
        return cls(parts.scheme, host, port, quote(f"{parts.path or '/'}{query}", safe="/?:@!$&'()*+,;=%~-._"))

    @property
    def authority(self) -> str:
        """The host as the header `Host` has it: with a port that is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class Transport(Protocol):
    """Sends requests. One per process, so that connections are shared. Tests substitute it."""

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        """Send one request, once; raise Unreachable or NoAnswer without a complete answer."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one exchange, in seconds and bytes."""

    connect: float  # for the connection, and again for its TLS handshake
    read: float  # until the next part of the answer
    total: float  # from the first byte of the request to the last of the answer
    idle: float  # after which a connection is closed and not used again
    size: int  # of the answer's body


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, which leads through to https addresses."""

    host: str
    port: int
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Parse `http://host:port` or `http://user:password@host:port`; raise ValueError for any other text."""
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = to_ascii(parts.hostname or "")
        if parts.scheme != "http" or not HOST.fullmatch(host):
            raise ValueError("not an http address")
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = {} if login == ":" else {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        return cls(host, parts.port or 80, headers)


class Connections:
    """The open connections of a process. Several threads may send at the same time, each over its own."""

    def __init__(
        self,
        limits: Callable[[], Limits],
        tls: Callable[[], ssl.SSLContext],
        proxy: Proxy | None = None,
        connect: Callable[[tuple[str, int], float], socket.socket] | None = None,
    ) -> None:
        self._limits = limits
        self._tls = tls
        self._proxy = proxy
        self._connect_to = connect or _open_socket
        self._idle: dict[tuple[str, str, int], deque[_Connection]] = {}

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        limits = self._limits()
        connection = self._take(url, limits) or self._connect(url, limits)
        try:
            answer, is_reusable = connection.exchange(_written(method, url, headers, content), method, limits)
        except BaseException:
            connection.close()
            self._close_idle(url[:3])  # a server that has ended one has usually ended all
            raise
        if is_reusable:
            self._keep(url, connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close all idle connections."""
        for address in list(self._idle):
            self._close_idle(address)

    def _close_idle(self, address: tuple[str, str, int]) -> None:
        connections = self._idle.get(address, deque())
        with suppress(IndexError):  # several threads may do this; of a deque, pop and append are atomic
            while True:
                connections.pop().close()

    def _take(self, url: Url, limits: Limits) -> "_Connection | None":
        connections = self._idle.get(url[:3])
        with suppress(IndexError):
            while connections is not None:
                connection = connections.pop()
                if connection.is_alive(limits.idle):
                    return connection
                connection.close()
        return None

    def _keep(self, url: Url, connection: "_Connection") -> None:
        connections = self._idle.setdefault(url[:3], deque())
        connections.append(connection)
        if len(connections) > MAX_IDLE_CONNECTIONS:
            with suppress(IndexError):
                connections.popleft().close()

    def _connect(self, url: Url, limits: Limits) -> "_Connection":
        proxy = self._proxy if url.scheme == "https" else None
        try:
            address = (proxy.host, proxy.port) if proxy else (url.host, url.port)
            sock = self._connect_to(address, limits.connect)
        except (OSError, UnicodeError) as error:
            raise Unreachable(type(error).__name__) from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if proxy:
                _lead_through(sock, proxy, url, limits)
            if url.scheme == "https":
                sock = self._tls().wrap_socket(sock, server_hostname=url.host.encode())
        except (OSError, ValueError, NoAnswer) as error:
            sock.close()
            raise Unreachable(type(error).__name__) from error
        return _Connection(sock)


def _open_socket(address: tuple[str, int], timeout: float) -> socket.socket:
    # A host in bytes, here and for TLS: for a text Python loads its IDNA codec, with tables, although hosts are ASCII.
    host, port = address
    return socket.create_connection((host.encode(), port), timeout)  # type: ignore[arg-type] # as getaddrinfo


def _written(method: str, url: Url, headers: Mapping[str, str], content: bytes) -> bytes:
    lines = [f"{method} {url.target} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"Host: {url.authority}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header contains a line break")
    if method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + content


def _lead_through(sock: socket.socket, proxy: Proxy, url: Url, limits: Limits) -> None:
    """Ask a proxy for a tunnel to the host of a URL."""
    target = f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    answer, _ = _Connection(sock).exchange("\r\n".join([*lines, "\r\n"]).encode("latin-1"), "CONNECT", limits)
    if not answer.is_success:
        raise NoAnswer(f"the proxy answers {answer.status}")
    sock.settimeout(limits.connect)


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = b""
        self._read_timeout = self._deadline = 0.0
        self._used_at = time.time()  # not a monotonic clock, which stands still while Lambda freezes the process

    def is_alive(self, max_idle: float) -> bool:
        """Return whether the connection is neither closed by the server nor idle for so long that it may be soon."""
        if not 0 <= time.time() - self._used_at < max_idle:
            return False
        poller = poll()
        poller.register(self._socket, POLLIN)  # between two answers, only an end of the connection can be read
        return not poller.poll(0)

    def exchange(self, request: bytes, method: str, limits: Limits) -> tuple[Answer, bool]:
        """Send a request and return its answer, and whether the connection can be used for another."""
        self._read_timeout, self._deadline = limits.read, time.monotonic() + limits.total
        try:
            self._socket.settimeout(limits.read)
            self._socket.sendall(request)
            status, headers, is_persistent = self._head()
            while status < 200 and status != 101:  # an interim answer
                status, headers, is_persistent = self._head()
            content, is_delimited = self._body(method, status, headers, limits.size)
        except OSError as error:
            raise NoAnswer(type(error).__name__) from error
        self._used_at = time.time()
        return Answer(status, headers, content), is_persistent and is_delimited and not self._received

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> tuple[int, dict[str, str], bool]:
        """Read a status line and headers; return them, and whether the server keeps the connection open."""
        match = STATUS_LINE.fullmatch(self._line())
        if not match:
            raise NoAnswer("the answer is not HTTP/1.1")
        headers: dict[str, str] = {}
        size = 0
        while line := self._line():
            name, colon, value = line.decode("latin-1").partition(":")
            size += len(line)
            if not colon or not name or name[0] in " \t" or size > MAX_HEAD_BYTES:
                raise NoAnswer("malformed headers")
            name, value = name.strip().lower(), value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        connection = headers.get("connection", "").lower()
        is_persistent = "close" not in connection and (match[1] == b"1" or "keep-alive" in connection)
        return int(match[2]), headers, is_persistent

    def _body(self, method: str, status: int, headers: Mapping[str, str], max_size: int) -> tuple[bytes, bool]:
        """Read the body; return it, and whether its end was marked by something else than the connection's."""
        if status in (101, 204, 304) or (method == "CONNECT" and status < 300):
            return b"", True
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise NoAnswer("unknown transfer coding")
            return self._chunks(max_size), True
        if length is None:
            return self._rest(max_size), False
        if not CONTENT_LENGTH.fullmatch(length):
            raise NoAnswer("malformed content length")
        return self._exactly(int(length), max_size), True

    def _chunks(self, max_size: int) -> bytes:
        chunks: list[bytes] = []
        while match := CHUNK_SIZE.fullmatch(self._line()):
            size = int(match[1], 16)
            if not size:
                while self._line():
                    pass  # trailers
                return b"".join(chunks)
            chunks.append(self._exactly(size, max_size))
            max_size -= size
            if self._line():
                break
        raise NoAnswer("malformed chunk")

    def _line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise NoAnswer("a line does not end")
            self._receive()
        line, self._received = self._received[:end], self._received[end + 1 :]
        return line.removesuffix(b"\r")

    def _exactly(self, size: int, max_size: int) -> bytes:
        if size > max_size:
            raise EndlessAnswer("too large")
        parts, missing = [self._received[:size]], size - len(self._received)
        self._received = self._received[size:]
        while missing > 0:
            self._receive()
            parts.append(self._received[:missing])
            self._received, missing = self._received[missing:], missing - len(self._received)
        return b"".join(parts)

    def _rest(self, max_size: int) -> bytes:
        parts, size = [self._received], len(self._received)
        self._received = b""
        while part := self._recv():
            size += len(part)
            if size > max_size:
                raise EndlessAnswer("too large")
            parts.append(part)
        return b"".join(parts)

    def _receive(self) -> None:
        part = self._recv()
        if not part:
            raise NoAnswer("the connection ended within the answer")
        self._received += part

    def _recv(self) -> bytes:
        remaining = self._deadline - time.monotonic()
        try:
            self._socket.settimeout(min(self._read_timeout, max(remaining, 0.001)))
            return self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            if remaining < self._read_timeout:
                raise EndlessAnswer("took too long") from None
            raise
