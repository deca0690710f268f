"""The common parts of the console's pages: headers, navigation, confirmations, errors; and the command."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mailroom_ops.console.console import PAGES, TEMPLATES
from mailroom_ops.console.context import Confirmation, PageContext, SharedEnvironment
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.server import Response
from tests.command import Run, shell_variables
from tests.console.client import Client, LedgerWriter, OpenPage, StartConsole

ROOT = Path(__file__).parents[2]


def test_every_response_has_strict_headers(client: Client, messages: LedgerWriter) -> None:
    for path in ("/console/deliveries", "/console/nothing", "/console/console.css", "/gallery"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "form-action 'self'; frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = client.get("/console/deliveries").text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?:", page)


def test_production_is_marked_by_its_name_and_color(start_console: StartConsole, open_page: OpenPage) -> None:
    colors = []
    for label in ("staging", "production"):
        client = start_console(label)
        client.log_in()
        page = open_page(client)
        page.goto(f"{client.url}/console/nothing")
        expect(page.locator(".environment")).to_contain_text(label)
        colors.append(page.locator(".environment").evaluate("(e) => getComputedStyle(e).backgroundColor"))
    assert colors[0] != colors[1]


@pytest.mark.parametrize("label", ["staging", "production"])
def test_a_confirmation_states_the_effect_the_number_and_the_environment(cloud: str, label: str) -> None:
    context = PageContext(Frame(label, [], [TEMPLATES]), SharedEnvironment(label))
    confirmation = Confirmation(
        title="Drop 12 letters?",
        text="They are deleted.",
        button="Drop 12 letters",
        path="/console/queues",
        values={"id": ["<1>", "2"], "do": ["drop"]},
        back="/console/queues",
    )
    page = html_of(context.confirm(confirmation, {}))
    for text in ("Drop 12 letters?", context.frame.token, label, 'value="&lt;1&gt;"', 'value="2"', 'value="drop"'):
        assert text in page
    assert ('type="hidden" name="confirmed"' in page) == (label == "staging")
    assert not context.is_confirmed({"do": ["drop"]})
    assert not context.is_confirmed({"confirmed": ["Production?"]})
    assert context.is_confirmed({"confirmed": [f" {label} "]})
    if label == "production":
        again = html_of(context.confirm(confirmation, {"confirmed": ["prod"]}))
        assert "This is not the name of the environment. Nothing was changed." in again


def html_of(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_an_internal_error_is_a_page_and_a_traceback_in_the_terminal(
    start_console: StartConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start_console("staging")
    client.log_in()
    empty: dict[str, str] = {}
    monkeypatch.setattr(SharedEnvironment, "outputs", property(lambda _: empty["none"]))
    answer = client.get("/console/deliveries")
    assert answer.status == 500
    assert "The console has an internal error." in answer.text
    assert "Traceback" not in answer.text
    assert "KeyError: 'none'" in client.errors[0]


def test_every_page_is_in_the_navigation(client: Client) -> None:
    html = client.get("/gallery").text.replace("&#x2f;", "/")
    links = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', html.partition("<nav")[2].partition("</nav>")[0])
    assert links == [*((f"/console/{page.path}", page.name) for page in PAGES), ("/gallery", "Gallery")]


@contextmanager
def started(**variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; yield its process and its first line."""
    command = [sys.executable, "-m", "mailroom_ops.cli", "console", "--env", "staging", "--port", "0"]
    process = subprocess.Popen(
        command, env=shell_variables(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@pytest.mark.thorough
def test_the_command_prints_its_address_and_ends_on_ctrl_c(
    cloud: str, messages: LedgerWriter, browser: Browser
) -> None:
    messages.sent()
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    with started(**{name: os.environ[name] for name in names}) as (process, line):
        ready, address = line.split()
        assert ready == "ready"
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/console/deliveries$"))
        expect(page.locator("#messages tr")).to_have_count(1)
        page.get_by_role("searchbox").fill("reader@example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="sign-in-code for r•••@example.com")).to_be_visible()
        context.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    assert err.splitlines() == ["Console of staging. The address works in one browser; Ctrl-C ends it.", "ended"]


def test_a_port_in_use_is_an_error_with_the_next_step(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = run("console", "--env", "staging", "--port", str(other.getsockname()[1]))
    assert refused.code == 2
    assert "is in use. Choose another one with --port." in refused.text
