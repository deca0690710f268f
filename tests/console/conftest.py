"""A console before a deployed environment, in this process for speed; its ledger, and one browser to look with."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import boto3
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom_ops.console.console import Console, Door
from mailroom_ops.console.key import Key
from mailroom_ops.environment import Environment
from mailroom_ops.web.server import Server
from tests.cloud import LEDGER, REGION
from tests.running import Answer

ROOT = Path(__file__).parents[2]
STACK = {
    "Resources": {"LedgerTable": {"Type": "AWS::DynamoDB::Table", "Properties": LEDGER}},
    "Outputs": {"LedgerTableName": {"Value": {"Ref": "LedgerTable"}}},
}
KEY = "address key"


@pytest.fixture
def cloud(cloud: str) -> str:
    """An AWS in which staging is deployed, as far as the console asks."""
    ssm, cloudformation = aws("ssm", cloud), aws("cloudformation", cloud)
    ssm.put_parameter(Name="/mailroom/staging/ledger/address_key", Value=KEY, Type="SecureString")
    cloudformation.create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(STACK))
    return cloud


@cache
def aws(service: Literal["ssm", "cloudformation", "dynamodb"], url: str) -> Any:
    """The tests' own way in, made once: making a client takes longer than most tests."""
    session: Any = boto3.Session("test", "test", region_name=REGION)
    return session.client(service, endpoint_url=url)


@dataclass(frozen=True, slots=True)
class Mails:
    """The ledger of staging, and mails to write into it."""

    ledger: Ledger

    def sent(self, ago: float = 0, status: Status = Status.SENT, reason: str = "", **changes: Any) -> Message:
        """Write down a mail that was handed over some seconds ago."""
        said = self.accepted(ago, **changes)
        tries = (Attempt(said.created_at + 0.25, "resend", "accepted"),)
        outcome = Outcome(status, reason, "resend", f"re-{said.id[-6:]}", tries)
        self.ledger.finish(said.id, "token", outcome, said.created_at + 0.5)
        return said

    def accepted(self, ago: float = 0, **changes: Any) -> Message:
        now = time.time() - ago
        fields: dict[str, Any] = {
            "id": f"{int(now * 1000):012x}{new_id()[12:]}",
            "tenant": "default",
            "kind": "sign-in-code",
            "to": "reader@example.com",
            "data": {"code": "KX7391"},
            "created_at": now,
            "expires_at": now + 600,
            "source": "logto",
        }
        said = Message(**(fields | changes))
        self.ledger.claim(Parcel.of(said), KEY, "token", now)
        return said


@pytest.fixture
def mails(cloud: str) -> Mails:
    return Mails(Ledger(Aws(REGION, cloud), "ledger", 16))


@dataclass
class Served:
    """A console on some port, and a client without a browser."""

    console: Console
    key: Key
    port: int
    complaints: list[str] = field(default_factory=list)
    cookie: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.url}/?key={self.key.once}"

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            known = {"cookie": self.cookie} if self.cookie else {}
            connection.request(method, path, body, known | {n.replace("_", "-"): v for n, v in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, **values: str) -> Answer:
        """Post a form as the console's own page does."""
        return self.ask("POST", path, urlencode({"token": self.console.frame.token, **values}))

    def enter(self) -> None:
        """Use the printed address, as the operator's browser does."""
        self.cookie = self.get(f"/?key={self.key.once}").headers["set-cookie"].partition(";")[0]


@contextmanager
def serving(label: str) -> Iterator[Served]:
    complaints: list[str] = []
    console = Console(Environment(label), ROOT / "layers" / "templates", complain=complaints.append)
    key = Key()
    with Server(0, Door(console, key, lambda: server.server_port).answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Served(console, key, server.server_port, complaints)
        server.shutdown()
        thread.join()


Serve = Callable[[str], Served]


@pytest.fixture
def serve(cloud: str) -> Iterator[Serve]:
    """Start a console of one's own, locked."""
    with ExitStack() as ending:
        yield lambda label: ending.enter_context(serving(label))


@pytest.fixture(scope="session")
def one_for_all() -> Iterator[Served]:
    with serving("staging") as made:
        made.enter()
        yield made


@pytest.fixture
def served(cloud: str, one_for_all: Served) -> Iterator[Served]:
    """The console of staging, entered."""
    yield one_for_all
    one_for_all.complaints.clear()


Look = Callable[..., Page]


def is_wrong(told: ConsoleMessage) -> bool:
    part_is_missing = told.location["url"].endswith((".css", ".js", ".svg"))
    return told.type == "error" and (part_is_missing or "Failed to load" not in told.text)


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open a console that was entered in a browser, which complains of errors and of foreign requests."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(served: Served, width: int = 1280, scheme: Literal["light", "dark"] = "light", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        contexts.append(context)
        name, _, value = served.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": served.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # What is refused on purpose is told there, too; what a page is made of has to be there.
        page.on("console", lambda told: complaints.append(f"{told.text} {told.location}") if is_wrong(told) else None)
        page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(served.url) else None)
        page.clock.install()
        page.goto(served.url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
