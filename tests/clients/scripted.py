"""A stand-in for Mailroom that gives prepared answers, and the scenarios that each client must pass with it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["SCENARIOS", "SENT", "Reply", "Scenario", "Server", "assert_report", "serve"]

SENT = {"message_id": "01a1fad716a3febae9f7600d82e2dad8", "status": "sent", "provider": "resend", "provider_id": "re_1"}
REFUSED = {"status": "refused", "errors": [{"field": "to", "message": "Give exactly one email address."}]}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; with status 0, the connection is closed without one."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Server:
    """The answers that are left (the last one stays), and the requests so far: headers and body."""

    replies: list[Reply]
    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Answers of Mailroom, and what a client makes of them: a status, and the number of requests."""

    name: str
    replies: tuple[Reply, ...]
    status: int = 200  # of the result; 0 if Mailroom cannot be reached
    requests: int = 1  # 0: several
    text: str = ""  # part of the error


OK = Reply(200, SENT)
SCENARIOS = (
    Scenario("sent", (OK,)),
    Scenario("accepted", (Reply(202, SENT | {"status": "accepted"}),)),
    Scenario("skipped", (Reply(200, {"message_id": "1", "status": "skipped", "reason": "expired"}),)),
    Scenario("no answer, throttled, away, then sent", (Reply(0), Reply(429, {}), Reply(503, {}), OK), requests=4),
    Scenario("crashed", (Reply(500, SENT | {"status": "unknown"}, {"retry-after": "5"}), OK), requests=2),
    Scenario(
        "a gateway without an answer", (Reply(502, {"message": "Bad Gateway"}), Reply(504, b"oops"), OK), requests=3
    ),
    Scenario("an answer that is no UTF-8", (Reply(502, b"\xfcberlastet"), OK), requests=2),
    Scenario("in flight", (Reply(409, REFUSED, {"retry-after": "1"}), OK), requests=2),
    Scenario("key used before", (Reply(409, REFUSED),), 409, text="to: Give exactly one"),
    Scenario("invalid", (Reply(422, REFUSED),), 422, text="to: Give exactly one email address."),
    Scenario("wrong key", (Reply(401, REFUSED),), 401),
    Scenario("moved", (Reply(302, None, {"location": "/elsewhere"}),), 302),
    Scenario(
        "failed", (Reply(502, {"message_id": "1", "status": "failed", "reason": "blocked"}),), 502, text="blocked"
    ),
    Scenario("unknown", (Reply(504, {"message_id": "1", "status": "unknown"}),), 504, text="unknown"),
    Scenario("away for long", (Reply(503, {}),), 503, requests=0),
    Scenario("never an answer", (Reply(0),), 0, requests=0, text="cannot be reached"),
)


def assert_report(scenario: Scenario, server: Server, report: Mapping[str, Any]) -> None:
    """Compare a client's requests and its report: `status`, `text`, and the seconds that it `slept`."""
    keys = {body["idempotency_key"] for _, body in server.requests}
    assert len(keys) == 1 and all(keys)
    assert {headers["authorization"] for headers, _ in server.requests} == {"Bearer key"}
    assert report["status"] == scenario.status, report
    assert scenario.text in report["text"], report
    if scenario.requests:
        assert len(server.requests) == scenario.requests
    else:
        assert 3 < len(server.requests) < 12
    assert len(report["slept"]) == len(server.requests) - 1
    for reply, slept in zip(scenario.replies, report["slept"], strict=False):
        assert slept >= float(reply.headers.get("retry-after", 0.1))
    assert sum(report["slept"]) <= 30


@contextmanager
def serve(*replies: Reply) -> Iterator[Server]:
    """Serve on a free port, for the time of a `with` block."""
    scripted = Server(list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            scripted.requests.append((headers | {"path": self.path}, json.loads(content)))
            reply = scripted.replies.pop(0) if len(scripted.replies) > 1 else scripted.replies[0]
            self.close_connection = True
            if not reply.status:
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:  # where a redirect was followed
            scripted.requests.append(({"authorization": "", "path": self.path}, {"idempotency_key": "a redirect"}))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scripted.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield scripted
        finally:
            server.shutdown()
            thread.join()
