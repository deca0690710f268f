"""A console of a deployed environment, in this process for speed; clients for it, and messages in its ledger."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import boto3
from playwright.sync_api import Page

from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import Ledger
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom_ops.console.access import Access
from mailroom_ops.console.console import Console, LockedConsole
from mailroom_ops.environment import Environment
from tests.cloud import REGION
from tests.factories import KEY, message
from tests.running import Answer
from tests.serving import ask, serving

__all__ = ["Client", "LedgerWriter", "OpenPage", "StartConsole", "aws", "page_text", "serving_console"]

ROOT = Path(__file__).parents[2]

StartConsole = Callable[[str], "Client"]
OpenPage = Callable[..., Page]


@cache
def aws(service: Literal["ssm", "cloudformation", "dynamodb"], url: str) -> Any:
    """Return a boto3 client, created once: that takes longer than most tests."""
    session: Any = boto3.Session("test", "test", region_name=REGION)
    return session.client(service, endpoint_url=url)


def page_text(html: str) -> str:
    """Return the text of a page's main part, without markup."""
    main = html.partition("<main")[2].partition(">")[2] or html
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """Writes messages into the ledger as the functions do."""

    ledger: Ledger

    def sent(self, ago: float = 0, status: Status = Status.SENT, reason: str = "", **changes: Any) -> Message:
        """Record a message with an outcome, requested some seconds ago."""
        accepted = self.accepted(ago, **changes)
        attempts = (Attempt(accepted.created_at + 0.25, "resend", "accepted"),)
        outcome = Outcome(status, reason, "resend", f"re-{accepted.id[-6:]}", attempts)
        self.ledger.finish(accepted.id, "token", outcome, accepted.created_at + 0.5)
        return accepted

    def waiting(
        self, ago: float = 0, *, provider: str = "resend", attempts: int = 1, retry_in: float = 30, **changes: Any
    ) -> Message:
        """Record a message whose attempts have failed, the last one now, and which waits for the next."""
        mail, now = self.accepted(ago, **changes), time.time()
        times = [now - attempts + 1 + number for number in range(attempts)]
        tries = tuple(Attempt(at, provider, "http_503", error=TemporaryFailure) for at in times)
        outcome = Outcome(Status.ACCEPTED, "http_503", tries=tries, retry_in=retry_in)
        self.ledger.release(mail.id, "token", attempts, outcome)
        return mail

    def accepted(self, ago: float = 0, **changes: Any) -> Message:
        """Record a message without an outcome, requested some seconds ago."""
        now = time.time() - ago
        times = {"id": f"{int(now * 1000):012x}{new_id()[12:]}", "created_at": now, "expires_at": now + 600}
        accepted = message(**times | {"kind": "sign-in-code", "data": {"code": "KX7391"}} | changes)
        self.ledger.claim(Parcel.of(accepted), KEY, "token", now)
        return accepted


@dataclass
class Client:
    """An HTTP client of a console; `errors` are the tracebacks that the console has logged."""

    console: Console
    access: Access
    port: int
    errors: list[str] = field(default_factory=list)
    cookie: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        cookie = {"cookie": self.cookie} if self.cookie else {}
        return ask(self.port, method, path, body, cookie | {n.replace("_", "-"): v for n, v in headers.items()})

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, **values: str) -> Answer:
        """Post a form of the console, with its token."""
        return self.ask("POST", path, urlencode({"token": self.console.frame.token, **values}))

    def text(self, path: str) -> str:
        """Return the text of a page that is there."""
        answer = self.get(path)
        assert answer.status == 200, answer.text
        return page_text(answer.text)

    def log_in(self) -> None:
        """Open the printed address, and keep the cookie."""
        self.cookie = self.get(f"/?key={self.access.one_time_key}").headers["set-cookie"].partition(";")[0]


@contextmanager
def serving_console(label: str) -> Iterator[Client]:
    """Serve a console, locked, for the time of a `with` block."""
    errors: list[str] = []
    console = Console(Environment(label), ROOT / "layers" / "templates", log_error=errors.append)
    access = Access()
    with serving(LockedConsole(console, access, lambda: port).answer) as port:
        yield Client(console, access, port, errors)
