"""Whether the time of an answer shows that a mail is limited or suppressed: `python -m bench.timing [quick]`.

The real webhook and send run in this process, against bench/cloud.py and a provider that takes 20 to 60 ms, both on
loopback and in processes of their own. Requests of three classes take turns in random order: for a recipient who got
nothing yet, one who has reached a limit, and one who is suppressed. A rank test (Mann-Whitney) compares the times of
their answers: its z is beyond ±3.3 by chance in one of a thousand comparisons.
"""

import io
import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

from aws_lambda_powertools import Logger

from bench.goals import GOALS, is_quick, judge
from functions.send.app import build as build_send
from functions.webhook.app import build as build_webhook
from mailroom.api.pace import Pace
from mailroom.api.service import SendService
from mailroom.aws.client import Aws
from mailroom.aws.metrics import Metrics
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import suppression_of

ROOT = Path(__file__).parents[1]
REGION = "eu-west-1"
ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "PROVIDERS": "resend",
    "TABLE_NAME": "ledger",
    "TEMPLATES_DIR": str(ROOT / "layers" / "templates"),
    "CODE_LIFETIME_MINUTES": "10",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "CODES_QUEUE_URL": "http://127.0.0.1/1/codes",
    "NOTICES_QUEUE_URL": "http://127.0.0.1/1/notices",
    "LOG_LEVEL": "CRITICAL",
}
CLASSES = ("ordinary", "limited", "suppressed")
REQUESTS, QUICK_REQUESTS = 300, 100  # of each class
WARM_UP = 60
LIMITED_READERS = 10
CODES_PER_KIND = 5  # the default limit
PROVIDER_SECONDS = (0.02, 0.06)
LOGTO_TOKEN, ADDRESS_KEY = "Bearer bench-token", "a" * 64
CONTEXT = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="bench",
    get_remaining_time_in_millis=lambda: 20_000,
)

Times = dict[str, list[float]]


class Provider(BaseHTTPRequestHandler):
    """Resend, after a while."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(random.uniform(*PROVIDER_SECONDS))  # noqa: S311 - no secret
        content = json.dumps({"id": f"{random.getrandbits(128):032x}"}).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None: ...


def serve() -> None:
    """Print the address of the provider, and serve until standard input ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        sys.stdin.read()


@contextmanager
def process(*arguments: str) -> Iterator[str]:
    """Run a server in a process of its own; yield its address."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child.stdout.readline().strip() if child.stdout else ""


def z_of_ranks(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the z of the Mann-Whitney test: 0 where neither sample tends to be larger, above where the second is."""
    pooled = sorted([*first, *second])
    counts, ranks, place = Counter(pooled), dict[float, float](), 0
    for value, count in sorted(counts.items()):
        ranks[value] = place + (count + 1) / 2
        place += count
    m, n = len(first), len(second)
    u = sum(ranks[value] for value in second) - n * (n + 1) / 2
    ties = sum(count**3 - count for count in counts.values()) / ((m + n) * (m + n - 1))
    return (u - m * n / 2) / math.sqrt(m * n / 12 * (m + n + 1 - ties))


def recipient(name: str, number: int) -> str:
    """Return a recipient of a class."""
    return f"{name}{number % LIMITED_READERS if name == 'limited' else number}@reader.example"


def measured(ask: Callable[[str], None], requests: int) -> Times:
    """Return the times of requests of each class, which take turns in random order."""
    times: Times = {name: [] for name in CLASSES}
    for number in range(requests):
        for name in random.sample(CLASSES, len(CLASSES)):
            started = time.perf_counter()
            ask(recipient(name, number))
            times[name].append(time.perf_counter() - started)
    return times


def report(title: str, times: Times) -> dict[str, float]:
    """Print the times of each class; return the z of each beside the ordinary ones, as figures."""
    print(f"{title}, half of the answers within", flush=True)
    figures = {}
    for name in CLASSES:
        middle, z = sorted(times[name])[len(times[name]) // 2], z_of_ranks(times["ordinary"], times[name])
        print(f"  {name:12} {middle * 1e3:6.1f} ms   z {z:5.2f}", flush=True)
        figures[f"{title}: {name} beside ordinary, z of ranks"] = abs(z)
    return {name: figure for name, figure in figures.items() if name in GOALS}


class Stage:
    """Both functions, warm, with recipients of each class."""

    def __init__(self, aws: Aws, provider: str, requests: int) -> None:
        self._aws = aws
        values = {
            "ledger/address_key": ADDRESS_KEY,
            "webhooks/logto/authorization": LOGTO_TOKEN,
            "senders/default/auth": json.dumps({"from": "Acme <no-reply@example.com>"}),
            "providers/resend/api_key": "bench",
            "providers/resend/endpoint": provider,
        }
        for name, value in values.items():
            aws.call("ssm", "PutParameter", {"Name": f"/mailroom/development/{name}", "Value": value})
        for number in range(requests):
            self._suppress(recipient("suppressed", number))
        self.service = SendService.from_env(aws)
        self._send = build_send(self.service, Logger(service="bench"), Metrics())
        self._webhook = build_webhook(aws, Logger(service="bench"), Metrics())
        for number in range(WARM_UP):
            self.send(f"warm-up{number}@reader.example")
        for number in range(LIMITED_READERS * CODES_PER_KIND):
            self.send(recipient("limited", number))

    def _suppress(self, address: str) -> None:
        update = {
            "TableName": "ledger",
            "Key": {"pk": {"S": suppression_of("default", keyed_hash(ADDRESS_KEY, address))}},
            "UpdateExpression": "SET codes_until = :until",
            "ExpressionAttributeValues": {":until": {"N": "9999999999"}},
        }
        self._aws.call("dynamodb", "UpdateItem", update)

    def send(self, to: str) -> None:
        """Send a code, and wait for its answer."""
        with redirect_stdout(io.StringIO()):  # metrics
            answer = self._send({"kind": "sign-in-code", "to": to, "data": {"code": new_code()}}, CONTEXT)
        if answer["status"] != "sent":
            raise SystemExit(f"not answered like a sent mail: {answer}")

    def post(self, to: str) -> None:
        """Request a code as Logto does."""
        body = {"to": to, "type": "SignIn", "payload": {"code": new_code(), "locale": "en"}}
        http = {"method": "POST", "sourceIp": "192.0.2.1"}
        event = {
            "version": "2.0",
            "routeKey": "ANY /webhooks/logto",
            "pathParameters": {},
            "headers": {"content-type": "application/json", "authorization": LOGTO_TOKEN},
            "requestContext": {"http": http, "timeEpoch": int(time.time() * 1000), "requestId": "bench"},
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }
        with redirect_stdout(io.StringIO()):
            answer = self._webhook(event, CONTEXT)
        if answer["statusCode"] != 200:
            raise SystemExit("the webhook refused a request")


class NoPace(Pace):
    """Answers at once."""

    def pause(self, account: str, reason: str, elapsed: float) -> float:
        return 0.0


def new_code() -> str:
    return f"{random.randrange(10**6):06}"  # noqa: S311 - no secret


def bench(requests: int, endpoint: str, provider: str) -> int:
    os.environ |= ENVIRONMENT
    with closing(Aws(REGION, endpoint)) as aws:
        stage = Stage(aws, provider, requests)
        figures = report("send", measured(stage.send, requests)) | report("webhook", measured(stage.post, requests))
        stage.service.pace = NoPace()
        report("to compare, send without its pause", measured(stage.send, requests // 5))
    return judge(figures)


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        return serve()
    requests = QUICK_REQUESTS if is_quick() else REQUESTS
    with process("bench.cloud") as endpoint, process("bench.timing", "serve") as provider:
        raise SystemExit(bench(requests, endpoint, provider))


if __name__ == "__main__":
    main()
