"""A gate between the stack and its AWS: lets calls through, and does what a test asks at the ones it names."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

__all__ = ["AwsCall", "AwsGate", "Refusal"]


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One call: `operation` as in `SendMessage`, and its request data."""

    operation: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response in place of the one from AWS."""

    status: int = 503
    body: bytes = b'{"__type": "ServiceUnavailable", "message": "told to"}'


Then = Callable[[AwsCall], Refusal | None]


@dataclass(slots=True)
class Rule:
    """At the next `left` calls that `matches`, do something before or after they have reached AWS."""

    matches: Callable[[AwsCall], bool]
    moment: str
    then: Then
    left: int

    def strike(self, moment: str, call: AwsCall) -> Refusal | None:
        return self.then(call) if moment == self.moment else None


class AwsGate:
    """A proxy on a port of its own."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def stand_before(self, endpoint: str) -> str:
        """Begin to lead to an AWS endpoint; return our own."""
        self.endpoint = endpoint
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._rules.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def rule(self, matches: Callable[[AwsCall], bool], moment: str, then: Then, times: int = 1) -> Iterator[Rule]:
        """Have something happen `before` or `after` the next `times` calls that match, while the block runs."""
        rule = Rule(matches, moment, then, times)
        self._rules.append(rule)
        yield rule
        self._rules.remove(rule)

    def take(self, call: AwsCall) -> Rule | None:
        with self._lock:
            for rule in self._rules:
                if rule.left and rule.matches(call):
                    rule.left -= 1
                    return rule
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, gate: AwsGate) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.gate = gate

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a process was killed in the middle of a call: tests do it on purpose."""


class _Passage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = AwsCall(self.headers.get("X-Amz-Target", "").rpartition(".")[2], _json(content))
        rule = self.server.gate.take(call)
        if rule and (refusal := rule.strike("before", call)):
            return self._answer(refusal.status, refusal.body)
        url = urlsplit(self.server.gate.endpoint)
        onward = http.client.HTTPConnection(url.netloc, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            onward.request("POST", self.path, content, headers)
            answer = onward.getresponse()
            body = answer.read()
        finally:
            onward.close()
        if rule and (refusal := rule.strike("after", call)):
            return self._answer(refusal.status, refusal.body)
        return self._answer(answer.status, body, answer.headers.get("Content-Type", ""))

    def _answer(self, status: int, body: bytes, content_type: str = "application/x-amz-json-1.0") -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _json(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
