"""Compare this tree with another commit, in one run: cold starts, memory, and the CPU of a mail by each provider.

`python -m bench --against REF [quick]`. The other commit's files go below .cache/against; its artifact is built as ours
is. Both are used from outside, through their functions' handlers, because their modules may have other names. They take
turns, round after round; a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from bench import artifact
from bench.artifact import ROOT, Artifact, Missing
from bench.cold_start import NAIVE, PARAMETERS, compiled, request, sign_in
from bench.goals import QUICK
from bench.process import Process
from bench.sandboxes import http_and_smtp
from bench.stub import Stub

CACHE = ROOT / ".cache" / "against"
ROUNDS, QUICK_ROUNDS = 9, 3
MAILS, QUICK_MAILS = 40, 20  # of a warm process, for the CPU of one
OVER_TLS = ("resend", "ses")  # the stub; the others are sandboxes
PROVIDERS = ("resend", "ses", "smtp", "sendgrid", "mailgun", "postmark", "aliyun", "http")
COLD = {
    "webhook": ("WebhookFunction", "resend"),
    "deliver, by resend": ("DeliverFunction", "resend"),
    "deliver, by ses": ("DeliverFunction", "ses"),
    "send, by resend": ("SendFunction", "resend"),
    "send, by ses": ("SendFunction", "ses"),
    "feedback, of ses": ("FeedbackFunction", "resend"),
}
REPORT = ROOT / "events" / "feedback-ses-eventbridge.json"


@dataclass
class Side:
    """A commit with its artifact, and the values of each row of the table in the order of the rounds."""

    label: str
    artifact: Artifact
    variables: dict[str, str]
    path: list[Path]  # of what Lambda's runtime has, and its functions import
    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def fetch(ref: str) -> tuple[str, Path]:
    """Put the files of a commit below .cache; return its short name and their folder."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=9", f"{ref}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"there is no commit {ref}")
    name = found.stdout.strip()
    folder = CACHE / name
    if not (folder / "template.yaml").exists():
        archive = subprocess.run(["git", "-C", ROOT, "archive", name], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return name, folder


def side_of(label: str, built: Artifact, stub: Stub, boto3: Path) -> Side:
    """Return a side with the variables by which its functions find and trust the stub."""
    variables = dict(stub.variables)
    if (built.folder / "MailroomLayer" / "python" / "mailroom" / "network").is_dir():
        return Side(label, built, variables, [])
    # Before November 2026, functions used httpx, which reads all authorities from one file, and boto3 for SES.
    del variables["SSL_CERT_DIR"]
    return Side(label, built, variables | {"SSL_CERT_FILE": str(stub.bundle)}, [boto3])


@dataclass
class Comparison:
    """Runs the functions of both sides against one stub."""

    stub: Stub
    sides: tuple[Side, Side]
    log: Path
    mails: int

    def run(self) -> None:
        """Measure everything once, on both sides in turn."""
        parcels = {side.label: self._parcels(side) for side in self.sides}
        for row, (function, provider) in COLD.items():
            for side in self.sides:
                events = {
                    "WebhookFunction": sign_in(),
                    "DeliverFunction": records(parcels[side.label][:1]),
                    "SendFunction": request(),
                    "FeedbackFunction": REPORT.read_bytes(),
                }
                with self._process(side, function, provider) as process:
                    self._invoke(process, events[function], side)
                    side.values[f"{row}: cold start, CPU ms"].append(process.cpu)
                    side.values[f"{row}: peak memory, MB"].append(process.peak_memory)
        for provider in PROVIDERS:
            for side in self.sides:
                first, *others = parcels[side.label]
                with self._process(side, "DeliverFunction", provider) as process:
                    self._invoke(process, records([first]), side)
                    before = process.cpu
                    for parcel in others:
                        self._invoke(process, records([parcel]), side)
                    side.values[f"deliver, by {provider}: a mail, CPU ms"].append((process.cpu - before) / len(others))

    def _parcels(self, side: Side) -> list[str]:
        """Return queued messages, made by the side's own webhook."""
        self.stub.seen.clear()
        with self._process(side, "WebhookFunction", "resend") as process:
            for event in sign_ins(1 + self.mails):
                self._invoke(process, event, side)
        return [query["MessageBody"] for operation, query in self.stub.seen if operation == "SendMessage"]

    def _process(self, side: Side, function: str, provider: str) -> Process:
        variables = side.artifact.variables(function) | side.variables | {"PROVIDERS": provider}
        path = [*side.artifact.path(function), *side.path]
        return Process(side.artifact.code(function), path, variables, self.log)

    def _invoke(self, process: Process, event: bytes, side: Side) -> None:
        outcome, _ = process.invoke(event)
        answer = json.loads(outcome.payload)
        is_refused = answer.get("statusCode", 200) != 200 or answer.get("status", "sent") != "sent"
        if outcome.failed or is_refused or answer.get("batchItemFailures"):
            raise SystemExit(f"{side.label} failed: {outcome.payload.decode()}\n{self.log.read_text()}")
        if '"Email not sent yet' in self.log.read_text():
            raise SystemExit(f"{side.label} sends no mail:\n{self.log.read_text()}")


def records(parcels: list[str]) -> bytes:
    arn = "arn:aws:sqs:eu-west-1:123456789012:mailroom-development-codes"
    described = [
        {"messageId": str(number), "receiptHandle": str(number), "body": body, "eventSourceARN": arn, "attributes": {}}
        for number, body in enumerate(parcels)
    ]
    return json.dumps({"Records": described}).encode()


def sign_ins(number: int) -> Iterator[bytes]:
    """Yield requests of different people."""
    for n in range(number):
        event = json.loads(sign_in())
        body = {**json.loads(event["body"]), "to": f"reader{n}@example.com"}
        yield json.dumps({**event, "body": json.dumps(body)}).encode()


def table(ours: Side, theirs: Side) -> str:
    width = max(map(len, ours.values))
    lines = [f"{'':{width}}{theirs.label:>14}{ours.label:>14}{'ratio':>8}"]
    for row in ours.values:
        before, after = theirs.values[row], ours.values[row]
        ratio = statistics.median(new / old for new, old in zip(after, before, strict=True))
        cells = (f"{statistics.median(values):14.2f}" for values in (before, after))
        lines.append(f"{row:{width}}{''.join(cells)}{ratio:8.2f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench --against", description=__doc__)
    parser.add_argument("ref", help="the other commit")
    parser.add_argument("quick", nargs="?", choices=[QUICK], help="few rounds")
    options = parser.parse_args(arguments)
    rounds, mails = (QUICK_ROUNDS, QUICK_MAILS) if options.quick else (ROUNDS, MAILS)
    with tempfile.TemporaryDirectory() as folder, http_and_smtp() as sandboxes:
        parameters = {
            f"providers/{name}/{key}": value
            for name, values in sandboxes.items()
            if name not in OVER_TLS
            for key, value in values.items()
        }
        with closing(Stub(Path(folder), PARAMETERS | parameters)) as stub:
            try:
                sides = line_up(options.ref, stub)
            except Missing as missing:
                raise SystemExit(str(missing)) from missing
            comparison = Comparison(stub, sides, Path(folder) / "log", mails)
            for number in range(-1, rounds):
                comparison.run()
                if number < 0:  # the first round only fills the page cache
                    for side in sides:
                        side.values.clear()
                print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
            print("\r", end="", file=sys.stderr)
            print(f"{rounds} rounds, {mails} mails by each provider; medians\n\n{table(*sides)}")


def line_up(ref: str, stub: Stub) -> tuple[Side, Side]:
    name, folder = fetch(ref)
    ours, theirs = artifact.build(), artifact.build(template=folder / "template.yaml", name=f"at-{name}")
    boto3 = compiled(artifact.build(template=NAIVE, name="naive")).code("NaiveFunction")
    return side_of("this tree", ours, stub, boto3), side_of(name, theirs, stub, boto3)


if __name__ == "__main__":
    main()
