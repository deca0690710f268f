"""A link page and an auth server on loopback: the function behind the gateway, and a server of one-time links."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from functions.link.app import build
from mailroom.aws.client import Aws
from mailroom_ops.local.gateway import to_event, to_response
from mailroom_ops.web.server import Request, Response
from tests.lambda_function import LambdaFunction
from tests.serving import serving

__all__ = ["AuthServer", "LinkServer", "auth_server", "link_server"]

PAGE_PATH = re.compile(r"/l/([^/]*)")


@dataclass
class LinkServer:
    """The link function behind an HTTP address; `requests` are the lines that a server on the way could have logged."""

    function: LambdaFunction
    port: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/l"

    def answer(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.path}?{request.query} {request.header('referer')}")
        match = PAGE_PATH.fullmatch(request.path)
        if not match:
            return Response(404)
        event = to_event(request, "ANY /l/{tenant}", {"tenant": match[1]}, "id=")
        return to_response(json.dumps(self.function(event)).encode())


@dataclass
class AuthServer:
    """An auth server whose links sign in once, whoever opens them, by whatever method."""

    port: int = 0
    uses: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def link(self, token: str) -> str:
        return f"http://{self.host}/verify?token={token}"

    def answer(self, request: Request) -> Response:
        if request.path != "/verify":
            return Response(404)
        with self.lock:
            self.uses[request.query] += 1
            is_first = self.uses[request.query] == 1
        body = b"You are signed in." if is_first else b"This link was used before."
        return Response(200 if is_first else 410, body, (("content-type", "text/plain"),))


@contextmanager
def link_server(aws: Aws) -> Iterator[LinkServer]:
    """Serve the link page of an environment, for the time of a `with` block."""
    server = LinkServer(LambdaFunction(partial(build, aws), aws))
    with serving(server.answer) as server.port:
        yield server


@contextmanager
def auth_server() -> Iterator[AuthServer]:
    server = AuthServer()
    with serving(server.answer) as server.port:
        yield server
