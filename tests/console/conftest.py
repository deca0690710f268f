"""Fixtures of the console: a deployed environment, its ledger, HTTP clients and browser pages."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Literal

import boto3
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from tests.cloud import LEDGER, REGION
from tests.console.client import Client, LedgerWriter, OpenPage, StartConsole, aws, serving_console
from tests.factories import KEY

QUEUES = ("Codes", "CodesDeadLetter", "Notices", "NoticesDeadLetter")
STACK = {
    "Resources": {"LedgerTable": {"Type": "AWS::DynamoDB::Table", "Properties": LEDGER}},
    "Outputs": {"LedgerTableName": {"Value": {"Ref": "LedgerTable"}}},
}


@pytest.fixture
def cloud(cloud: str) -> str:
    """An AWS with the parts of a deployed staging environment that the console uses."""
    ssm, cloudformation = aws("ssm", cloud), aws("cloudformation", cloud)
    ssm.put_parameter(Name="/mailroom/staging/ledger/address_key", Value=KEY, Type="SecureString")
    cloudformation.create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(STACK))
    return cloud


@pytest.fixture
def messages(cloud: str) -> LedgerWriter:
    """The ledger of staging, to write messages into."""
    return LedgerWriter(Ledger(Aws(REGION, cloud), "ledger", 16))


@pytest.fixture
def queue_urls(messages: LedgerWriter) -> dict[str, str]:
    """The queues of staging by name, such as `NoticesDeadLetter`."""
    sqs, formation = boto3.client("sqs"), boto3.client("cloudformation")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in QUEUES}
    staging = formation.get_template(StackName="mailroom-staging")["TemplateBody"]
    staging["Outputs"] |= {f"{name}QueueUrl": {"Value": url} for name, url in urls.items()}
    formation.update_stack(StackName="mailroom-staging", TemplateBody=json.dumps(staging))
    return urls


@pytest.fixture
def start_console(cloud: str) -> Iterator[StartConsole]:
    """Start a console of an environment, locked."""
    with ExitStack() as running:
        yield lambda label: running.enter_context(serving_console(label))


@pytest.fixture(scope="session")
def shared_client() -> Iterator[Client]:
    with serving_console("staging") as client:
        client.log_in()
        yield client


@pytest.fixture
def client(cloud: str, shared_client: Client) -> Iterator[Client]:
    """A logged-in client of the console of staging."""
    shared_client.console._context.alerts.forget()
    shared_client.console._context.tenants.forget()
    yield shared_client
    shared_client.errors.clear()


def is_error(entry: ConsoleMessage) -> bool:
    if entry.text.startswith("Blocked script execution"):  # the clock of the tests, in the frame of a mail
        return False
    is_own_file = entry.location["url"].endswith((".css", ".js", ".svg"))
    return entry.type == "error" and (is_own_file or "Failed to load" not in entry.text)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open the console of a logged-in client in a browser; fails on script errors and on requests to other hosts."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_(client: Client, width: int = 1280, scheme: Literal["light", "dark"] = "light", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        contexts.append(context)
        name, _, value = client.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": client.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Pages that are refused on purpose are logged too; missing files of a page are errors.
        page.on("console", lambda entry: errors.append(f"{entry.text} {entry.location}") if is_error(entry) else None)
        page.on("request", lambda request: None if request.url.startswith(client.url) else errors.append(request.url))
        page.clock.install()
        page.goto(client.url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
