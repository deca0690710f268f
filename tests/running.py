"""The running stack, for every test that wants one: `stack` is started once and shared, `Running` starts another."""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.local.logs import Logs
from mailroom_ops.local.stack import Options, Stack
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.server import Sandbox

__all__ = ["Answer", "Running", "one_stack", "running", "stack"]

ROOT = Path(__file__).parent.parent
TOKENS = {"default": "Bearer local-logto-token", "acme": "Bearer local-acme-token"}
TIMEOUT_SECONDS = 30.0
MADE_BY_THE_FIRST_MAIL = "/ledger/address_key"


class Answer:
    """The response to an HTTP request."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """A stack that is up: its doors, its inbox, its logs, and what can be made to go wrong."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.sandbox: Sandbox = stack.sandbox

    @property
    def aws_endpoint(self) -> str:
        return self.stack.aws.endpoint

    def aws(self, service: str) -> Any:
        """Return a boto3 client of the stack's AWS."""
        return self.stack.aws.client(service)

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request to the front door, on a connection of its own."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=TIMEOUT_SECONDS)
        try:
            content = body.encode() if isinstance(body, str) else body
            connection.request(method, path, content, dict(headers or {}))
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def logto(self, body: Any, tenant: str = "default", **headers: str) -> Answer:
        """Post a body as Logto does."""
        path = "/webhooks/logto" if tenant == "default" else f"/webhooks/logto/{tenant}"
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.request(
            "POST",
            path,
            content,
            {"authorization": TOKENS.get(tenant, TOKENS["default"]), "content-type": "application/json", **headers},
        )

    def inbox(self) -> list[dict[str, Any]]:
        """Return the captured mails, newest first, as /inbox.json has them."""
        found: list[dict[str, Any]] = self.request("GET", "/inbox.json").json()
        return found

    def mail_to(self, address: str, timeout: float = TIMEOUT_SECONDS) -> Captured:
        """Return the newest mail to an address, once there is one."""
        return self.mails_to(address, 1, timeout)[0]

    def mails_to(self, address: str, count: int, timeout: float = TIMEOUT_SECONDS) -> list[Captured]:
        """Return the mails to an address, newest first, once there are `count`."""
        inbox = self.sandbox.inbox
        mails = inbox.all()
        while True:
            found = [mail for mail in mails if mail.to == address]
            if len(found) >= count:
                return found
            mails = inbox.wait(len(mails) + 1, timeout)

    def logs(self, function: str | None = None) -> list[str]:
        """Return the raw log lines of one function, or of all."""
        return self.stack.logs.lines(function)

    def line_with(self, word: str, function: str | None = None, timeout: float = TIMEOUT_SECONDS) -> str:
        """Wait for a log line that contains `word`, and return it."""
        return self.stack.logs.wait(lambda line: word in line, function, timeout)

    @staticmethod
    def until(
        holds: Callable[[], bool], timeout: float = TIMEOUT_SECONDS, *, instead: Callable[[], object] = lambda: ""
    ) -> None:
        """Poll a condition until it holds; `instead` returns the state for the error message."""
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end, f"the condition never held: {instead()}"
            time.sleep(0.02)

    def settings(self) -> dict[str, str]:
        """Return the parameters, without those that the first mail creates."""
        pages = self.aws("ssm").get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)
        values = {item["Name"]: item["Value"] for page in pages for item in page["Parameters"]}
        return {name: value for name, value in values.items() if not name.endswith(MADE_BY_THE_FIRST_MAIL)}

    def clear(self) -> None:
        """Forget mails, logs and faults."""
        self.sandbox.faults.clear()
        self.sandbox.inbox.clear()
        self.stack.logs.clear()

    @staticmethod
    def address() -> str:
        """Return an address that no other test uses."""
        return f"reader-{uuid.uuid4().hex[:12]}@example.com"


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    """Start a stack of one's own, on any free port."""
    with Stack(Options(**{"port": 0, "watch": False, "reports": False, **options}), Logs(out=None)) as stack:
        yield Running(stack)


@pytest.fixture(scope="session")
def one_stack() -> Iterator[Running]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def stack(one_stack: Running) -> Iterator[Running]:
    """The running stack, with Resend's sandbox behind it, and the settings that it began with."""
    before = one_stack.settings()
    yield one_stack
    for name in one_stack.settings().keys() - before.keys():
        one_stack.aws("ssm").delete_parameter(Name=name)
    assert one_stack.settings() == before
