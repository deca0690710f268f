"""Who gets in, what is refused, and the command that serves it, as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from mailroom_ops.console.console import PAGES, TEMPLATES
from mailroom_ops.console.context import Confirmation, PageContext, SharedEnvironment
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.server import Response
from tests.cli.conftest import Run, run
from tests.cli.test_command import environment
from tests.console.conftest import Look, Mails, Serve, Served

__all__ = ["run"]

ROOT = Path(__file__).parents[2]


def test_without_the_key_there_is_only_a_page_that_says_so(serve: Serve) -> None:
    locked = serve("staging")
    for path in (
        "/",
        "/?key=",
        "/?key=wrong",
        "/?key=%C3%A9",
        "/console/deliveries",
        "/gallery",
        "/gallery/options.json",
    ):
        answer = locked.get(path)
        assert answer.status == 401
        assert "Open the address that the console has printed." in answer.text
        assert "staging" not in answer.text
    assert locked.ask("POST", "/console/deliveries", "what=x").status == 401
    assert locked.ask("GET", "/", cookie=f"mailroom_console_{locked.port}=wrong").status == 401
    assert locked.get("/console/console.css").status == 200
    assert locked.get("/console/live.js").status == 401


def test_the_printed_address_works_once_and_leads_to_a_clean_one(serve: Serve, mails: Mails) -> None:
    locked = serve("staging")
    address = f"/?key={locked.key.once}"
    assert locked.ask("HEAD", address).status == 401  # a look ahead does not use it up

    entered = locked.get(address)
    assert entered.status == 200
    assert re.fullmatch(
        rf"mailroom_console_{locked.port}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", entered.headers["set-cookie"]
    )
    assert 'content="0; url=&#x2f;console&#x2f;deliveries"' in entered.text
    assert locked.get(address).status == 401

    locked.cookie = entered.headers["set-cookie"].partition(";")[0]
    assert locked.get("/").headers["location"] == "/console/deliveries"
    assert locked.get("/console/deliveries").status == 200


def test_every_answer_has_the_strict_headers(served: Served, mails: Mails) -> None:
    for path in ("/console/deliveries", "/console/nothing", "/console/console.css", "/gallery"):
        headers = served.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "form-action 'self'; frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = served.get("/console/deliveries").text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?:", page)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3001", "127.0.0.1.evil.example", "", "["])
def test_another_name_for_this_machine_is_refused(served: Served, host: str) -> None:
    assert served.ask("GET", "/console/deliveries", host=host).status == 403


@pytest.mark.parametrize(
    "strange",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
    ],
    ids=str,
)
def test_another_site_may_not_post(served: Served, mails: Mails, strange: dict[str, str]) -> None:
    said = mails.sent()
    body = urlencode({"token": served.console.frame.token, "what": said.id})
    assert served.ask("POST", "/console/deliveries", body, **strange).status == 403
    own = {"origin": "null", "sec_fetch_site": "same-origin"}  # what a browser sends for our own form
    assert served.ask("POST", "/console/deliveries", body, **own).status == 303


@pytest.mark.parametrize("token", [None, "", "stale", "é"])
def test_a_form_without_the_token_of_this_run_changes_nothing_and_says_why(
    served: Served, mails: Mails, token: str | None
) -> None:
    body = urlencode({"what": mails.sent().id} | ({} if token is None else {"token": token}))
    answer = served.ask("POST", "/console/deliveries", body)
    assert answer.status == 403
    assert "from before the console was started again" in answer.text
    assert served.ask("PUT", "/console/deliveries", body).status == 405


def test_production_is_marked_by_word_and_colour(serve: Serve, look: Look) -> None:
    colours = []
    for label in ("staging", "production"):
        served = serve(label)
        served.enter()
        page = look(served)
        page.goto(f"{served.url}/console/nothing")
        expect(page.locator(".environment")).to_contain_text(label)
        colours.append(page.locator(".environment").evaluate("(e) => getComputedStyle(e).backgroundColor"))
    assert colours[0] != colours[1]


@pytest.mark.parametrize("label", ["staging", "production"])
def test_before_something_is_changed_a_page_says_what_and_how_many_and_where(cloud: str, label: str) -> None:
    desk = PageContext(Frame(label, [], [TEMPLATES]), SharedEnvironment(label))
    asked = Confirmation(
        title="Drop 12 dead letters?",
        what="They are deleted, and nobody gets them.",
        button="Drop 12",
        path="/console/queues",
        values={"id": ["<1>", "2"], "do": ["drop"]},
        back="/console/queues",
    )
    first = said(desk.confirm(asked, {}))
    for words in ("Drop 12 dead letters?", desk.frame.token, label, 'value="&lt;1&gt;"', 'value="2"', 'value="drop"'):
        assert words in first
    assert ('type="hidden" name="confirmed"' in first) == (label == "staging")
    assert not desk.is_confirmed({"do": ["drop"]})
    assert not desk.is_confirmed({"confirmed": ["Production?"]})
    assert desk.is_confirmed({"confirmed": [f" {label} "]})
    if label == "production":
        assert "That is not its name. Nothing was changed." in said(desk.confirm(asked, {"confirmed": ["prod"]}))


def said(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_a_fault_of_our_own_is_a_page_and_is_seen_in_the_terminal(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve("staging")
    served.enter()
    nothing: dict[str, str] = {}
    monkeypatch.setattr(SharedEnvironment, "outputs", property(lambda _: nothing["none"]))
    answer = served.get("/console/deliveries")
    assert answer.status == 500
    assert "The console itself has a fault." in answer.text
    assert "Traceback" not in answer.text
    assert "KeyError: 'none'" in served.complaints[0]


def test_every_page_is_in_the_navigation(served: Served) -> None:
    html = served.get("/gallery").text.replace("&#x2f;", "/")
    links = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', html.partition("<nav")[2].partition("</nav>")[0])
    assert links == [*((f"/console/{page.path}", page.name) for page in PAGES), ("/gallery", "Gallery")]


@contextmanager
def started(**variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "mailroom_ops.cli", "console", "--env", "staging", "--port", "0"]
    process = subprocess.Popen(
        command, env=environment(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def test_the_command_serves_says_where_and_ends_on_ctrl_c(cloud: str, mails: Mails, browser: Browser) -> None:
    mails.sent()
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    with started(**{name: os.environ[name] for name in names}) as (process, line):
        ready, address = line.split()
        assert ready == "ready"
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/console/deliveries$"))
        expect(page.locator("#mails tr")).to_have_count(1)
        page.get_by_role("searchbox").fill("reader@example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Found")).to_be_visible()
        context.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    assert err.splitlines() == ["The console of staging. The address opens one browser; Ctrl-C ends it.", "ended"]


def test_a_port_that_is_taken_is_a_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run("console", "--env", "staging", "--port", str(taken.getsockname()[1]))
    assert refused.code == 2
    assert "is taken. Stop what listens there, or choose another with --port." in refused.said
