"""How long the operator's console takes for each page, with a full ledger, and with nearly none beside it.

The console is the real command in a process of its own, boto3 its client; AWS is bench/cloud.py, seeded by
bench/stock.py with the same tallies, suppressions and tenants for both. A first look at a time needs a console that
has seen no other; those at a week and a month read tallies alone, and are left out where there are few mails.
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

LATENCY = 0.008  # seconds: what a read takes from outside the region, at best
AT_ONCE = 1000.0  # milliseconds
DEEP = 0.6  # of the list: where the older page begins
READER = 7
SPANS = {"day": "24 hours", "week": "7 days", "month": "30 days"}
HEAD = f"{'ms':>8}{'calls':>14}"
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked of the console; `what` is posted."""

    name: str
    path: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one page took: milliseconds, and calls to AWS."""

    ms: float
    calls: int


def pages(stock: Stock) -> list[Page]:
    """Return what is looked at in a console that is warm."""
    older = stock.ids[int(len(stock.ids) * DEEP)]
    return [
        Page("newest deliveries", "deliveries"),
        Page("a rare status", "deliveries?status=complained"),
        Page("a tenant, of last week", "deliveries?tenant=cedar&since=week"),
        Page("an older page, deep in the list", f"deliveries?before={older}"),
        Page("a mail", f"deliveries/{older}"),
        Page("a search by address", "deliveries", address(READER)),
        Page("suppressions", "suppressions"),
        Page("suppressions of a tenant", "suppressions?tenant=cedar"),
        Page("queues", "queues"),
        Page("senders", "senders"),
    ]


FIRST = Page("the first page of all", "deliveries")


def deliverability(since: str, when: str) -> Page:
    return Page(f"deliverability, {SPANS[since]}, {when}", f"deliverability?since={since}")


class Browser:
    """An operator's browser in a console of its own, which it has entered."""

    def __init__(self, entrance: str, stock: Stock) -> None:
        parts = urlsplit(entrance)
        self._calls = stock.cloud.calls
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        self._headers: dict[str, str] = {}
        answer, _ = self._ask("GET", f"/?{parts.query}")
        self._headers["cookie"] = (answer.getheader("set-cookie") or "").partition(";")[0]
        self._token = ""

    def look(self, page: Page) -> Look:
        """Open a page, and say what it took."""
        path, calls, began = f"/console/{page.path}", len(self._calls), time.perf_counter()
        if page.what:
            _, text = self._ask("POST", path, urlencode({"token": self._token, "what": page.what}))
        else:
            _, text = self._ask("GET", path)
        took = (time.perf_counter() - began) * 1000
        if found := TOKEN.search(text):
            self._token = found[1]
        return Look(took, len(self._calls) - calls)

    def _ask(self, method: str, path: str, body: str = "") -> tuple[http.client.HTTPResponse, str]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {text}")
        return answer, text


@contextmanager
def console(stock: Stock, endpoint: str, log: Path) -> Iterator[Browser]:
    """Start the command, and enter by the address that it prints."""
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-west-1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAILROOM_"))}
    told = clean | keys | {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint}
    command = [str(Path(sys.executable).with_name("mailroom")), "console", "--env", "staging"]
    command += ["--port", "0", "--no-open"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        ready = process.stdout.readline().split() if process.stdout else []
        if len(ready) != 2:
            raise SystemExit(f"the console does not start: {log.read_text()}")
        try:
            yield Browser(ready[1], stock)
        finally:
            process.terminate()


Looks = defaultdict[str, list[Look]]


def look_at_all(stock: Stock, endpoint: str, log: Path, spans: Sequence[str], looks: Looks) -> None:
    """Look at every page: at each time that deliverability tells of in a console of its own."""
    for since in spans:
        with console(stock, endpoint, log) as browser:
            asked = [FIRST, deliverability(since, "first"), deliverability(since, "again")]
            for page in asked + (pages(stock) if since == "day" else []):
                looks[page.name].append(browser.look(page))


def measure(full: Stock, small: Stock, times: int) -> tuple[Looks, Looks]:
    """Look at both in turn, so that a busy moment of the machine strikes each alike."""
    many, few = Looks(list), Looks(list)
    with (
        serving(full.cloud, LATENCY) as first,
        serving(small.cloud, LATENCY) as second,
        tempfile.TemporaryDirectory() as folder,
    ):
        log = Path(folder) / "log"
        for _ in range(times):
            look_at_all(full, first, log, list(SPANS), many)
            look_at_all(small, second, log, ["day"], few)
    return many, few


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000, help="in the ledger (default: 100000)")
    parser.add_argument("--few", type=int, default=1000, help="and how many for the contrast (default: 1000)")
    parser.add_argument("--times", type=int, default=5, help="how often each page is looked at (default: 5)")
    args = parser.parse_args()
    full, small = Stock.of(args.mails), Stock.of(args.few)
    gc.freeze()  # a walk of the collector through the rows would be taken for the console's time
    many, few = measure(full, small, args.times)
    about = f"medians of {args.times}, in brackets the least; mails of {DAYS} days"
    print(f"{about}; {LATENCY * 1000:.0f} ms for a call to AWS\n")
    print(f"{'':36}{f'{args.mails:,} mails':>22}{f'{args.few:,} mails':>22}{'ratio':>8}")
    print(f"{'':36}{HEAD}{HEAD}")
    for name, looks in many.items():
        line = f"{name:36}{described(looks)}"
        print(line + f"{described(few[name])}{median(looks) / median(few[name]):>8.2f}" if name in few else line)
    late = [name for name, looks in many.items() if median(looks) > AT_ONCE]
    print(f"\n{'over a second: ' + '; '.join(late) if late else 'every page within a second'}")


def described(looks: list[Look]) -> str:
    least = f"({min(look.ms for look in looks):.0f})"
    return f"{median(looks):>8.0f} {least:7}{max(look.calls for look in looks):>6}"


def median(looks: list[Look]) -> float:
    return statistics.median(look.ms for look in looks)


if __name__ == "__main__":
    main()
