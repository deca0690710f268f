"""A burst of sign-ups behind a provider's rate limit: the time until the last mail is sent, and its parts.

All of them are on the codes queue when deliver starts, which runs as in the local stack: under AWS's runtime client.
Queue and ledger are bench/cloud.py, which has the latency of AWS; moto takes 40 ms of CPU for a mail's calls (2026-11),
and minutes for a burst. `python -m bench.burst` prints a table with the time that deliver waits for each of them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.cloud import LATENCY
from bench.goals import judge
from mailroom.model.message import Message, Parcel, new_id
from mailroom_ops.local.blueprint import Blueprint
from mailroom_ops.local.children import Children
from mailroom_ops.local.functions import Function
from mailroom_ops.local.logs import Logs
from mailroom_ops.local.poller import Poller
from mailroom_ops.sandbox.faults import Fault
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.provider import ProviderStub, Reply, Request
from mailroom_ops.sandbox.server import Sandbox

ROOT = Path(__file__).parents[1]
REGION = "eu-west-1"
GOAL_MAILS = 5000
RATE = 10  # requests a second, as of Resend in 2026
HANDLER = "bench.timed.handler"
MARK = '{"bench": '
MAX_SILENCE_SECONDS = 90.0  # without a mail; then the missing ones count as lost


class LimitedProviders(Sandbox):
    """The sandbox, with a rate limit for each provider and a count of the requests that exceeded it."""

    def __init__(self, providers: Sequence[str]) -> None:
        super().__init__(rates=dict.fromkeys(providers, RATE))
        self.refused: Counter[str] = Counter()

    def answer(self, stub: ProviderStub, request: Request, fault: Fault | None) -> Reply:
        reply = super().answer(stub, request, fault)
        self.refused[stub.name] += reply.status == HTTPStatus.TOO_MANY_REQUESTS
        return reply


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one burst."""

    mails: int
    sent: Mapping[str, int]  # by provider, in the order of the chain, as the next two
    requests: Mapping[str, int]
    refused: Mapping[str, int]
    copies: int
    lost: int
    seconds: float  # from the first mail at the provider to the last
    cloud_cpu: float  # seconds, of the stub of AWS
    spent: Mapping[str, float]  # seconds, by all invocations together


class Stage:
    """The environment of one burst, with deliver ready for it."""

    def __init__(
        self,
        children: Children,
        endpoint: str,
        sandbox: Sandbox,
        providers: Sequence[str],
        batch: int,
        processes: int,
    ) -> None:
        self.logs = Logs(None)
        self.arrived: list[tuple[float, Captured]] = []
        sandbox.inbox.subscribe(self._note)
        self._sqs = client("sqs", endpoint)
        values = {
            f"providers/{provider}/{key}": value
            for provider in providers
            for key, value in sandbox.settings(provider).items()
        }
        values |= {"senders/default/auth": json.dumps({"from": "Acme <no-reply@example.com>"})}
        for name, value in values.items():
            client("ssm", endpoint).put_parameter(Name=f"/mailroom/development/{name}", Value=value, Type="String")
        blueprint = Blueprint(ROOT, REGION, {"Providers": ",".join(providers)}, {})
        blueprint.locate_queues(endpoint)
        spec = blueprint.specs(endpoint, {})["deliver"]
        path = {"PYTHONPATH": f"{spec.environment['PYTHONPATH']}:{ROOT}", "_HANDLER": HANDLER}
        watched = replace(spec, handler=HANDLER, environment={**spec.environment, **path}, concurrency=processes)
        self.function = Function(watched, children, self.logs)
        self.function.start()
        if failure := self.function.wait(60):
            raise SystemExit(f"deliver does not start: {failure.payload.decode()}")
        (source,) = (source for source in blueprint.sources() if source.queue_arn.endswith("-codes"))
        self._queue = source.queue_url
        source = replace(source, batch_size=batch, concurrency=processes)
        self.poller = Poller(source, self._sqs, lambda _, event: self.function.invoke(event), self.logs)

    def feed(self, messages: Sequence[Message]) -> None:
        """Put messages on the queue."""
        for start in range(0, len(messages), 10):
            bodies = [Parcel.of(message).to_json() for message in messages[start : start + 10]]
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
            self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries)

    def drain(self) -> None:
        """Start deliver, and wait until the queue is empty, or no mail arrives for too long."""
        self.poller.start()
        moved, seen = time.monotonic(), -1
        while self._waiting() and time.monotonic() - moved < MAX_SILENCE_SECONDS:
            if len(self.arrived) != seen:
                moved, seen = time.monotonic(), len(self.arrived)
            time.sleep(0.5)

    def _waiting(self) -> int:
        counts = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["All"])["Attributes"]
        return sum(int(count) for name, count in counts.items() if name.startswith("ApproximateNumberOfMessages"))

    def _note(self, mail: Captured) -> None:
        self.arrived.append((time.monotonic(), mail))

    def spent(self) -> Counter[str]:
        """Return the seconds that all invocations together waited, by cause."""
        total: Counter[str] = Counter()
        for line in self.logs.lines("deliver"):
            if line.startswith(MARK):
                total.update(json.loads(line)["bench"])
        return total


def sign_ups(number: int) -> list[Message]:
    at = time.time()
    return [
        Message(new_id(), "default", "sign-up-code", f"reader{n}@example.org", {"code": f"{n:06}"}, at, at + 600,
                "logto", ("de",), identity=f"code {n}")
        for n in range(number)
    ]  # fmt: skip


def burst(mails: int, *, providers: Sequence[str], batch: int, processes: int) -> Result:
    """Send the codes of people who sign up at the same time."""
    children = Children()
    with LimitedProviders(providers) as sandbox, cloud() as (endpoint, pid), closing(children):
        stage = Stage(children, endpoint, sandbox, providers, batch, processes)
        messages = sign_ups(mails)
        stage.feed(messages)
        before = cpu_of(pid)
        stage.drain()
        cloud_cpu = cpu_of(pid) - before
        stage.poller.stop()
        stage.function.stop()
        times, ids = [at for at, _ in stage.arrived], Counter(mail.message_id for _, mail in stage.arrived)
        lost = {message.id for message in messages} - set(ids)
        return Result(
            mails,
            of_each(providers, Counter(mail.provider for _, mail in stage.arrived)),
            of_each(providers, sandbox.requests),
            of_each(providers, sandbox.refused),
            ids.total() - len(ids),
            len(lost),
            max(times) - min(times),
            cloud_cpu,
            stage.spent(),
        )


@contextmanager
def cloud() -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "bench.cloud"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip() if process.stdout else "", process.pid


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=32),
    )


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.burst", description=__doc__)
    parser.add_argument("quick", nargs="?", choices=["quick"], help="500 mails, and 25 one by one")
    parser.add_argument("--mails", type=int, help="number of simultaneous sign-ups (default: 5000)")
    parser.add_argument("--singly", type=int, help="the same for sending one by one (default: 100)")
    parser.add_argument("--processes", type=int, default=20, help="deliver's, as CodesConcurrency (default: 20)")
    providers = "the chain, each provider behind the same limit: `resend,postmark` (default: resend)"
    parser.add_argument("--providers", type=lambda text: text.split(","), default=["resend"], help=providers)
    args = parser.parse_args()
    mails, few = args.mails or (500 if args.quick else GOAL_MAILS), args.singly or (25 if args.quick else 100)
    packed = burst(mails, providers=args.providers, batch=10, processes=args.processes)
    singly = burst(few, providers=args.providers, batch=1, processes=args.processes)
    print(
        f"{args.processes} processes of deliver, {RATE} requests a second by {' and by '.join(args.providers)}, "
        f"{LATENCY * 1000:.0f} ms for a call to AWS\n"
    )
    print(f"{'':34}{'in batches':>16}{'one by one':>12}")
    for label, cell in ROWS.items():
        print(f"{label:34}{cell(packed):>16}{cell(singly):>12}")
    print(f"\nOne by one, {mails} mails would take {mails / RATE:.0f} s at this limit (computed, not run).")
    print(
        "CPU is this machine's, shared by all processes and the sandbox. The last three rows are beside the time of the"
    )
    print("invocations; up to five threads of each call AWS at a time, and wait for CPU meanwhile.\n")
    figures = {"burst, copies and lost mails": float(packed.copies + packed.lost + singly.copies + singly.lost)}
    if mails == GOAL_MAILS and args.providers == ["resend"]:
        figures["burst of 5,000, first to last mail, s"] = packed.seconds
    raise SystemExit(judge(figures))


ROWS: Mapping[str, Callable[[Result], str]] = {
    "mails": lambda result: str(result.mails),
    "sent, by provider": lambda result: sum_of(result.sent),
    "requests": lambda result: sum_of(result.requests),
    "of these refused with a 429": lambda result: sum_of(result.refused),
    "copies": lambda result: str(result.copies),
    "lost": lambda result: str(result.lost),
    "first to last mail, s": lambda result: f"{result.seconds:.1f}",
    "least that the limits allow, s": lambda result: f"{least_seconds(result):.1f}",
    "deliver's CPU, all processes, s": lambda result: f"{result.spent['cpu']:.1f}",
    "  a mail, ms": lambda result: f"{result.spent['cpu'] / result.mails * 1000:.1f}",
    "CPU of the stub of AWS, s": lambda result: f"{result.cloud_cpu:.1f}",
    "calls to AWS, of all threads": lambda result: share(result, "aws"),
    "requests to the provider": lambda result: share(result, "provider"),
    "holding back": lambda result: share(result, "held back"),
}


def of_each(providers: Sequence[str], counts: Counter[str]) -> dict[str, int]:
    return {provider: counts[provider] for provider in providers}


def sum_of(counts: Mapping[str, int]) -> str:
    return " + ".join(map(str, counts.values()))


def least_seconds(result: Result) -> float:
    """Return the time in which the providers can accept the accepted requests."""
    return max(result.requests[name] - result.refused[name] for name in result.sent) / RATE


def share(result: Result, part: str) -> str:
    return f"{result.spent[part] / result.spent['wall']:.0%}"


if __name__ == "__main__":
    main()
