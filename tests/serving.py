"""The package's HTTP server in a thread, and clients for it."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mailroom_ops.web.server import Request, Response, Server
from tests.running import Answer

__all__ = ["ask", "send_raw", "serving"]

TIMEOUT_SECONDS = 20


@contextmanager
def serving(answer: Callable[[Request], Response]) -> Iterator[int]:
    """Serve on a free port, for the time of a `with` block; yield the port."""
    with Server(0, answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request on a connection of its own; return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        return Answer(connection.getresponse())
    finally:
        connection.close()


def send_raw(port: int, data: bytes) -> bytes:
    """Send bytes that need not be HTTP; return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer
