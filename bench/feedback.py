"""The cost of events: events a second through the feedback function, and calls to the ledger per event.

The function runs in this process, the table in another that answers at once, so that only our own code is measured. On
Lambda with 512 MB a function has about 0.3 of a processor, so that figures there are three to four times lower.
`python -m bench.feedback` prints the table.
"""

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import SimpleNamespace
from typing import Any

from aws_lambda_powertools import Logger

from functions.feedback.app import build
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.feedback.intake import Intake
from mailroom.model.event import EventType
from mailroom.model.message import new_id
from mailroom_ops.sandbox import reports
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import Posting
from mailroom_ops.sandbox.reports.sendgrid import sign_sendgrid

ROUNDS = 15
EVENTS = 500  # in a round, and in one report of SendGrid
CONTEXT = SimpleNamespace(
    function_name="feedback", memory_limit_in_mb="512", invoked_function_arn="arn", aws_request_id="request"
)
ROW = {
    "pk": {"S": "message#0"},
    "tenant": {"S": "default"},
    "kind": {"S": "notification"},
    "to": {"S": "r•••@example.com"},
    "recipient": {"S": "0" * 32},
    "source": {"S": "direct"},
    "created": {"N": "1800000000"},
    "status": {"S": "delivered"},
    "timeline": {"L": []},
}


class Table(BaseHTTPRequestHandler):
    """A stub of DynamoDB and the parameter store without failures."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match self.headers["X-Amz-Target"].rpartition(".")[2]:
            case "UpdateItem" if request.get("ReturnValues") == "ALL_NEW":
                answer: dict[str, Any] = {"Attributes": ROW}
            case "GetParameters" | "GetParametersByPath":
                values = {**reports.settings(), "ledger/address_key": "k"}
                parameters = {f"/mailroom/production/{name}": value for name, value in values.items()}
                names = request.get("Names") or [name for name in parameters if name.startswith(request["Path"])]
                answer = {
                    "Parameters": [{"Name": name, "Value": parameters[name]} for name in names if name in parameters]
                }
            case _:
                answer = {}
        content = json.dumps(answer).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None: ...


def serve() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Table) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


@contextmanager
def table() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.feedback", "serve"], stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline().strip() if process.stdout else ""
        process.kill()


def mail(provider: str) -> Captured:
    id_ = new_id()
    return Captured(
        id_, "a@example.com", "b@example.com", "", "Hello", "", "", {}, provider, "default", "notification", id=id_
    )


def event(posting: Posting) -> dict[str, Any]:
    _, _, provider, *secret = posting.path.split("/")
    http = {"method": "POST", "sourceIp": "192.0.2.1"}
    return {
        "requestContext": {"http": http, "timeEpoch": time.time() * 1000},
        "pathParameters": {"provider": provider, **({"secret": secret[0]} if secret else {})},
        "headers": dict(posting.headers),
        "body": posting.body.decode(),
    }


def singly(provider: str) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that makes a round of reports with one event each."""

    def make() -> list[dict[str, Any]]:
        postings = (reports.report(mail(provider), EventType.DELIVERED) for _ in range(EVENTS))
        return [event(posting) for posting in postings if posting]

    return make


def together() -> list[dict[str, Any]]:
    """Make a round of one report with all events."""
    number = count()
    items = [
        {"event": "delivered", "timestamp": int(time.time()), "email": "a@example.com", "message_id": new_id()}
        | {"tenant": "default", "kind": "notification", "sg_event_id": str(next(number)), "sg_message_id": "a.b.c"}
        for _ in range(EVENTS)
    ]
    return [event(sign_sendgrid(json.dumps(items).encode() + b"\r\n", time.time()))]


def main() -> None:
    ways: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "resend, one event a report": singly("resend"),
        "mailgun, one event a report": singly("mailgun"),
        "postmark, one event a report": singly("postmark"),
        f"sendgrid, {EVENTS} events a report": together,
    }
    with table() as url:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": url,
            "ENVIRONMENT": "production",
            "TABLE_NAME": "ledger",
            "POWERTOOLS_METRICS_NAMESPACE": "bench",
            "POWERTOOLS_SERVICE_NAME": "feedback",
        }
        aws = Aws.from_env()
        handler = build(Intake.from_env(aws), Logger(), Metrics())
        calls: Counter[str] = Counter()
        real = aws.call

        def counted(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
            calls[operation] += 1
            return real(service, operation, payload, **options)

        aws.call = counted  # type: ignore[method-assign]
        print(f"{'':32}{'events/s':>10}{'CPU/event':>12}   ledger, an event")
        for name, make in ways.items():
            wall, cpu = [], []
            calls.clear()
            for _ in range(ROUNDS):
                events = make()
                began, spent = time.perf_counter(), time.process_time()
                with redirect_stdout(io.StringIO()):
                    answers = [handler(event, CONTEXT) for event in events]
                wall.append(time.perf_counter() - began)
                cpu.append(time.process_time() - spent)
                if refused := [answer for answer in answers if answer["statusCode"] != 200]:
                    raise SystemExit(f"{name}: {refused[0]}")
            rate, each = EVENTS / statistics.median(wall), statistics.median(cpu) / EVENTS * 1000
            writes, reads = (calls[operation] / ROUNDS / EVENTS for operation in ("UpdateItem", "GetItem"))
            print(f"{name:32}{rate:10.0f}{each:9.2f} ms   {writes:.2f} writes, {reads:.0f} reads")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
