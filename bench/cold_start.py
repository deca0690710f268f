"""Measure cold start, warm time and memory of the deployed functions, compared to a function with usual libraries.

All functions run in turn, round after round, so that a busy moment of the machine slows down all alike.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bench import artifact
from bench.artifact import ROOT, Artifact, Missing
from bench.goals import judge
from bench.process import Process
from bench.stub import Stub
from mailroom_ops.local.source_requests import SourceRequests

SOURCES = SourceRequests(ROOT, ROOT / "ops" / "mailroom_ops" / "local" / "secrets.yaml")
PARAMETERS = {
    **{f"webhooks/entra/{name}": value for name, value in SOURCES.tenants("entra")["default"].items()},
    "webhooks/logto/authorization": "Bearer local-logto-token",
    "providers/resend/api_key": "re_made_up",
    "senders/default/auth": json.dumps({"from": "Acme <no-reply@example.com>"}),
    "ledger/address_key": "0123456789abcdef",
}
NAIVE = ROOT / "bench" / "naive" / "template.yaml"


@dataclass
class Contender:
    """A function and its measurements; times in milliseconds, memory in MB."""

    label: str
    artifact: Artifact
    function: str
    event: Callable[[], bytes]
    variables: Mapping[str, str] = field(default_factory=dict)
    init: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of the cold start, all threads
    warm: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)  # the share of a warm call in which the stub was busy
    memory: list[float] = field(default_factory=list)

    def run(self, stub: Stub, calls: int, log: Path) -> None:
        """Start a process, call it with a first mail and then more, and record the measurements."""
        variables = self.artifact.variables(self.function) | stub.variables | {"RESEND_API_URL": stub.url}
        variables |= self.variables
        event = self.event()
        with Process(self.artifact.code(self.function), self.artifact.path(self.function), variables, log) as process:
            first = self._call(process, event, log)
            self.init.append(process.init)
            self.first.append(first)
            self.cold.append(process.init + first)
            self.cpu.append(process.cpu)
            for _ in range(calls):
                busy = stub.busy
                self.warm.append(self._call(process, event, log))
                self.elsewhere.append((stub.busy - busy) * 1e3)
            self.memory.append(process.peak_memory)

    def forget(self) -> None:
        for values in (self.init, self.first, self.cold, self.cpu, self.warm, self.elsewhere, self.memory):
            values.clear()

    def _call(self, process: Process, event: bytes, log: Path) -> float:
        outcome, took = process.invoke(event)
        answer = json.loads(outcome.payload)
        if outcome.failed or answer.get("statusCode", 200) != 200 or answer.get("batchItemFailures"):
            raise SystemExit(f"{self.label} failed: {outcome.payload.decode()}\n{log.read_text()}")
        return took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__)
    parser.add_argument("quick", nargs="?", choices=["quick"], help="few rounds")
    parser.add_argument("--rounds", type=int, help="processes of each function (default: 15, or 4)")
    parser.add_argument("--warm", type=int, help="further calls of each process (default: 20, or 5)")
    args = parser.parse_args()
    rounds, warm = args.rounds or (4 if args.quick else 15), args.warm or (5 if args.quick else 20)
    with tempfile.TemporaryDirectory() as folder, closing(Stub(Path(folder), PARAMETERS)) as stub:
        log = Path(folder) / "log"
        try:
            contenders = line_up(stub, log)
            if not args.quick:  # a figure for the eye, and a minute of copying and compiling
                contenders |= with_bytecode()
        except Missing as missing:
            raise SystemExit(str(missing)) from missing
        for number in range(-1, rounds):
            for contender in contenders.values():
                contender.run(stub, warm, log)
                if number < 0:
                    contender.forget()  # the first round only fills the page cache
            print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
    print("\r", end="", file=sys.stderr)
    print(f"{described(rounds, warm)}\n\n{table(contenders)}\n")
    raise SystemExit(judge(figures(contenders)))


def line_up(stub: Stub, log: Path) -> dict[str, Contender]:
    ours, naive = artifact.build(), artifact.build(template=NAIVE, name="naive")

    def batch() -> bytes:
        stub.seen.clear()
        Contender("webhook", ours, "WebhookFunction", sign_in).run(stub, 0, log)
        (parcel,) = [request["MessageBody"] for operation, request in stub.seen if operation == "SendMessage"]
        record = {"messageId": "1", "receiptHandle": "1", "body": parcel, "eventSourceARN": "arn:aws:sqs:::codes"}
        return json.dumps({"Records": [record]}).encode()

    by_ses = {"PROVIDERS": "ses"}
    return {
        "echo": Contender("(a) echo", naive, "EchoFunction", sign_in),
        "webhook": Contender("webhook", ours, "WebhookFunction", sign_in),
        "entra": Contender("webhook, by entra", ours, "WebhookFunction", one_time_code),
        "deliver": Contender("deliver, by resend", ours, "DeliverFunction", batch),
        "deliver by ses": Contender("deliver, by ses", ours, "DeliverFunction", batch, by_ses),
        "send": Contender("send, by ses", ours, "SendFunction", request, by_ses),
        "newcomer": Contender("(b) newcomer's", naive, "NaiveFunction", sign_in),
    }


def with_bytecode() -> dict[str, Contender]:
    """Return the newcomer's function as a layer of ours would have it."""
    naive = compiled(artifact.build(template=NAIVE, name="naive"))
    return {"compiled": Contender("(b) with bytecode", naive, "NaiveFunction", sign_in)}


def request() -> bytes:
    """Return a request of an auth service to `send`."""
    return (ROOT / "events" / "send-sign-in-code.json").read_bytes()


def one_time_code() -> bytes:
    """Return a request of Entra's, which waits for two seconds, cold start included."""
    sample = SOURCES.make("entra", time.time())
    event = json.loads((ROOT / "events" / "webhook-entra.json").read_bytes())
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    return json.dumps(event | {"headers": dict(sample.headers), "body": sample.body.decode()}).encode()


def sign_in() -> bytes:
    event = json.loads((ROOT / "events" / "webhook-sign-in.json").read_bytes())
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/webhooks/logto"
    return json.dumps(event).encode()


def compiled(built: Artifact) -> Artifact:
    """Return a copy in which every module has bytecode, as our layers have."""
    folder = built.folder.with_name(built.folder.name + "-compiled")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(built.folder, folder)
    command: list[str | Path] = [
        artifact.python(),
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        folder,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    subprocess.run(command, env=environment, check=True)
    return Artifact(folder)


def described(rounds: int, warm: int) -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return (
        f"{rounds} rounds, {warm} warm calls each, {machine}; medians, in brackets the least. A ratio is the median of "
        "the rounds' ratios of CPU: a busy machine takes turns, but no CPU time."
    )


def table(contenders: Mapping[str, Contender]) -> str:
    naive, echo = contenders["newcomer"], contenders["echo"]
    head = ("", "init ms", "first mail ms", "cold start ms", "its CPU ms", "of (a)", "of (b)", "warm ms", "peak MB")
    rows = [head] + [
        (
            contender.label,
            spread(contender.init),
            spread(contender.first),
            spread(contender.cold),
            spread(contender.cpu),
            f"{ratio(contender.cpu, echo.cpu):.1f}",
            f"{ratio(contender.cpu, naive.cpu):.3f}",
            spread(contender.warm, 1),
            f"{statistics.median(contender.memory):.0f}",
        )
        for contender in contenders.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"| {line} |" for line in [lines[0], " | ".join("-" * width for width in widths), *lines[1:]])


def figures(contenders: Mapping[str, Contender]) -> dict[str, float]:
    """Return the figures that have a goal."""
    webhook, naive = contenders["webhook"], contenders["newcomer"]
    ours = statistics.median(taken - stub for taken, stub in zip(webhook.warm, webhook.elsewhere, strict=True))
    cold = {
        "webhook's cold start, of the newcomer's": "webhook",
        "deliver's cold start, of the newcomer's": "deliver",
        "deliver's cold start by ses, of the newcomer's": "deliver by ses",
        "send's cold start, of the newcomer's": "send",
    }
    return {
        **{name: ratio(contenders[contender].cpu, naive.cpu) for name, contender in cold.items()},
        "webhook's cold start, of an echo's": ratio(webhook.cpu, contenders["echo"].cpu),
        "webhook's cold start by Entra, CPU ms": statistics.median(contenders["entra"].cpu),
        "webhook's peak memory, of the newcomer's": ratio(webhook.memory, naive.memory),
        "webhook's warm time beside the stub's, ms": ours,
    }


def spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f})"


def ratio(values: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


if __name__ == "__main__":
    main()
