"""Receivers of outcome events: one as a tenant would write it, and hostile ones."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from standardwebhooks import Webhook

from mailroom_ops.web.server import Request, Response
from tests.serving import serving

__all__ = ["OTHER_SECRET", "SECRET", "Receiver", "raw_server", "receiving"]

SECRET = "whsec_bmV3IHNlY3JldCBvZiBhIHRlbmFudCwgMzIgYnl0ZXM="
OTHER_SECRET = "whsec_b2xkIHNlY3JldCBvZiBhIHRlbmFudCwgMzIgYnl0ZXM="


class Receiver:
    """Verifies each request by the standard's own library, and answers with `status`."""

    def __init__(self, *secrets: str, status: int = 204, headers: Mapping[str, str] = {}) -> None:
        self.webhooks = [Webhook(secret) for secret in secrets]
        self.status = status
        self.headers = tuple(headers.items())
        self.events: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.url = ""

    def answer(self, request: Request) -> Response:
        headers = dict(request.headers)
        for webhook in self.webhooks:
            event = webhook.verify(request.body, headers)
        self.events.append(event)
        self.ids.append(headers["webhook-id"])
        return Response(self.status, b"", self.headers)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Run a receiver on loopback."""
    with serving(receiver.answer) as port:
        receiver.url = f"http://127.0.0.1:{port}/outcomes?of=acme"
        yield receiver


@contextmanager
def raw_server(serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each connection by a function that may misbehave; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=[connection], daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(tls.wrap_socket(connection, server_side=True) if tls else connection)
        connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
