"""Measure the response time of each page of the console, with a full ledger and with a small one.

The console is the real command in a process of its own, with boto3; AWS is bench/cloud.py, seeded by bench/stock.py
with the same hourly counters, suppressions and tenants for both ledgers. The first view of each period needs a console
without cached hours; those of a week and a month read counters only, and are measured with the full ledger only.
`python -m bench.console` prints the table.
"""

import argparse
import gc
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.cloud import serving
from bench.stock import DAYS, Stock, address

LATENCY_SECONDS = 0.008  # of a read from outside the region, at best
MAX_MILLISECONDS = 1000.0
OLDER_PAGE = 0.6  # its start, as a share of the list
READER = 7
SPANS = {"day": "24 hours", "week": "7 days", "month": "30 days"}
HEAD = f"{'ms':>8}{'calls':>14}"
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """A page to request; `what` is posted as a search."""

    name: str
    path: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The response time and the AWS calls of one request."""

    ms: float
    calls: int


def pages(stock: Stock) -> list[Page]:
    """Return the pages to request in a warm console."""
    older = stock.ids[int(len(stock.ids) * OLDER_PAGE)]
    return [
        Page("newest deliveries", "deliveries"),
        Page("a rare status", "deliveries?status=complained"),
        Page("a tenant, of last week", "deliveries?tenant=cedar&since=week"),
        Page("an older page, deep in the list", f"deliveries?before={older}"),
        Page("a message", f"deliveries/{older}"),
        Page("a search by address", "deliveries", address(READER)),
        Page("suppressions", "suppressions"),
        Page("suppressions of a tenant", "suppressions?tenant=cedar"),
        Page("queues", "queues"),
        Page("senders", "senders"),
        Page("the banner", "health"),
    ]


FIRST = Page("the first page of all", "deliveries")


def deliverability(since: str, when: str) -> Page:
    return Page(f"deliverability, {SPANS[since]}, {when}", f"deliverability?since={since}")


class Browser:
    """A client of a console, logged in by the printed address."""

    def __init__(self, entrance: str, stock: Stock) -> None:
        parts = urlsplit(entrance)
        self._calls = stock.cloud.calls
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        self._headers: dict[str, str] = {}
        answer, _ = self._ask("GET", f"/?{parts.query}")
        self._headers["cookie"] = (answer.getheader("set-cookie") or "").partition(";")[0]
        self._token = ""

    def request(self, page: Page) -> Measurement:
        """Request a page; return the measurement."""
        path, calls, began = f"/console/{page.path}", len(self._calls), time.perf_counter()
        if page.what:
            _, text = self._ask("POST", path, urlencode({"token": self._token, "what": page.what}))
        else:
            _, text = self._ask("GET", path)
        took = (time.perf_counter() - began) * 1000
        if match := TOKEN.search(text):
            self._token = match[1]
        return Measurement(took, len(self._calls) - calls)

    def _ask(self, method: str, path: str, body: str = "") -> tuple[http.client.HTTPResponse, str]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {text}")
        return answer, text


@contextmanager
def console(stock: Stock, endpoint: str, log: Path) -> Iterator[Browser]:
    """Start the command, and log in by the address that it prints."""
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-west-1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAILROOM_"))}
    environment = clean | keys | {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint}
    command = [str(Path(sys.executable).with_name("mailroom")), "console", "--env", "staging"]
    command += ["--port", "0", "--no-open"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        ready = process.stdout.readline().split() if process.stdout else []
        if len(ready) != 2:
            raise SystemExit(f"the console does not start: {log.read_text()}")
        try:
            yield Browser(ready[1], stock)
        finally:
            process.terminate()


Measurements = defaultdict[str, list[Measurement]]


def measure_pages(stock: Stock, endpoint: str, log: Path, spans: Sequence[str], measurements: Measurements) -> None:
    """Request every page; each period of the deliverability page in a console of its own."""
    for since in spans:
        with console(stock, endpoint, log) as browser:
            requests = [FIRST, deliverability(since, "first"), deliverability(since, "again")]
            for page in requests + (pages(stock) if since == "day" else []):
                measurements[page.name].append(browser.request(page))


def measure(full: Stock, small: Stock, times: int) -> tuple[Measurements, Measurements]:
    """Measure both ledgers in turns, so that other load on the machine affects both alike."""
    many, few = Measurements(list), Measurements(list)
    with (
        serving(full.cloud, LATENCY_SECONDS) as first,
        serving(small.cloud, LATENCY_SECONDS) as second,
        tempfile.TemporaryDirectory() as folder,
    ):
        log = Path(folder) / "log"
        for _ in range(times):
            measure_pages(full, first, log, list(SPANS), many)
            measure_pages(small, second, log, ["day"], few)
    return many, few


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000, help="messages in the full ledger (default: 100000)")
    parser.add_argument("--few", type=int, default=1000, help="messages in the small ledger (default: 1000)")
    parser.add_argument("--times", type=int, default=5, help="requests per page (default: 5)")
    args = parser.parse_args()
    full, small = Stock.of(args.mails), Stock.of(args.few)
    gc.freeze()  # a garbage collection of the rows would count as time of the console
    many, few = measure(full, small, args.times)
    about = f"medians of {args.times}, minimum in brackets; messages of {DAYS} days"
    print(f"{about}; {LATENCY_SECONDS * 1000:.0f} ms per AWS call\n")
    print(f"{'':36}{f'{args.mails:,} messages':>22}{f'{args.few:,} messages':>22}{'ratio':>8}")
    print(f"{'':36}{HEAD}{HEAD}")
    for name, measurements in many.items():
        line = f"{name:36}{describe(measurements)}"
        print(line + f"{describe(few[name])}{median(measurements) / median(few[name]):>8.2f}" if name in few else line)
    late = [name for name, measurements in many.items() if median(measurements) > MAX_MILLISECONDS]
    print(f"\n{'over a second: ' + '; '.join(late) if late else 'every page within a second'}")


def describe(measurements: list[Measurement]) -> str:
    least = f"({min(entry.ms for entry in measurements):.0f})"
    return f"{median(measurements):>8.0f} {least:7}{max(entry.calls for entry in measurements):>6}"


def median(measurements: list[Measurement]) -> float:
    return statistics.median(entry.ms for entry in measurements)


if __name__ == "__main__":
    main()
