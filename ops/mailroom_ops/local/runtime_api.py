"""Lambda's Runtime API for one process, which requests events and posts their results.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Invocation", "InvocationResult", "RuntimeApi"]

PATH = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The result of an invocation: the payload of the function or, if it `failed`, Lambda's error description."""

    payload: bytes
    failed: bool = False
    log: str = ""

    @classmethod
    def failure(cls, kind: str, message: str) -> "InvocationResult":
        return cls(json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)


@dataclass(frozen=True, slots=True)
class Invocation:
    """An event, and the future of its result."""

    event: bytes
    arn: str
    timeout: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    result: "Future[InvocationResult]" = field(default_factory=Future)

    def end(self, result: InvocationResult) -> None:
        """Set the result, unless a timeout or a crash has set it already."""
        try:
            self.result.set_result(result)
        except InvalidStateError:
            pass


class RuntimeApi:
    """The HTTP endpoint of one process; calls `on_next` each time the process requests an event."""

    def __init__(self, on_next: Callable[[], None], on_init_error: Callable[[InvocationResult], None]) -> None:
        self.on_next = on_next
        self.on_init_error = on_init_error
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._current: Invocation | None = None
        self._offered = threading.Event()
        self._closed = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def offer(self, invocation: Invocation) -> None:
        """Give an event to the waiting process."""
        self._current = invocation
        self._offered.set()

    def next_invocation(self) -> Invocation | None:
        """Wait for an event and return it; None once the endpoint is closed."""
        self.on_next()
        self._offered.wait()
        self._offered.clear()
        return None if self._closed else self._current

    def complete(self, request_id: str, result: InvocationResult) -> bool:
        """Set the result of the current invocation; return False for any other request id."""
        current = self._current
        if current is None or current.id != request_id:
            return False
        current.end(result)
        return True

    def close(self) -> None:
        self._closed = True
        self._offered.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore dropped connections: they belong to killed processes, which the worker reports."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the runtime client reuses its connection
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one write, or Nagle and delayed ACK cost up to 40 ms
    server: _Server

    def do_GET(self) -> None:
        if self.path != f"{PATH}/invocation/next":
            return self._reply(404)
        invocation = self.server.api.next_invocation()
        if invocation is None:
            self.close_connection = True
            return None
        return self._reply(
            200,
            invocation.event,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.timeout) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.id[-12:] * 2};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == f"{PATH}/init/error":
            self.server.api.on_init_error(InvocationResult(body, failed=True))
            return self._reply(202, b'{"status":"OK"}')
        path, _, action = self.path.rpartition("/")
        if path.startswith(f"{PATH}/invocation/") and action in ("response", "error"):
            request_id = path.rpartition("/")[2]
            if self.server.api.complete(request_id, InvocationResult(body, failed=action == "error")):
                return self._reply(202, b'{"status":"OK"}')
            return self._reply(400, b'{"errorType":"InvalidRequestID"}')
        return self._reply(404)

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
