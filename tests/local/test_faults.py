"""Fault injection in the local stack: over HTTP, by the command, and on the inbox page."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.command import Run
from tests.running import Running


@pytest.fixture
def local(stack: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The running stack, as the command finds it, without faults before and after."""
    monkeypatch.setenv("MAILROOM_URL", stack.url)
    stack.clear()
    yield stack
    stack.clear()


def test_the_next_requests_fail_and_the_mail_arrives_all_the_same(run: Run, local: Running) -> None:
    done = run("sandbox", "fail", "resend", "--status", "503", "--count", "2")
    assert done.code == 0
    assert done.out.split()[-4:] == ["resend", "2", "status", "503"]
    to = local.address()
    local.logto({"to": to, "type": "SignIn", "payload": {"code": "048291"}})
    assert "048291" in local.mail_to(to).text
    assert "No faults are pending" in run("sandbox", "list").text
    trace = json.loads(run("trace", to, "--json").out)[0]
    assert sum("503" in f"{step['what']} {step['why']}" for step in trace["steps"]) == 2


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ((), {"kind": "status", "status": 503}),
        (("--hang",), {"kind": "hang"}),
        (("--reset",), {"kind": "reset-before-body"}),
        (("--reset", "--after-accept"), {"kind": "reset-after-accept"}),
        (("--hang", "--after-accept"), {"kind": "hang-after-accept"}),
        (("--slow", "3"), {"kind": "delay", "seconds": 3.0}),
        (("--rate-limit", "5"), {"kind": "rate-limit", "seconds": 5.0}),
        (("--garbage",), {"kind": "garbage"}),
    ],
)
def test_each_kind_of_fault_has_an_option(
    run: Run, local: Running, options: tuple[str, ...], fault: dict[str, object]
) -> None:
    state = json.loads(run("sandbox", "fail", "smtp", *options, "--count", "20", "--json").out)
    assert state["faults"] == [{"provider": "smtp", **fault, "count": 20}]
    assert json.loads(run("sandbox", "list", "--json").out) == state


def test_faults_are_cleared_for_one_provider_or_for_all(run: Run, local: Running) -> None:
    for provider in ("resend", "ses"):
        assert run("sandbox", "fail", provider).code == 0
    assert run("sandbox", "clear", "ses").code == 0
    assert [fault["provider"] for fault in local.request("GET", "/faults").json()["faults"]] == ["resend"]
    assert run("sandbox", "clear").code == 0
    assert local.request("GET", "/faults").json()["faults"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fail", "resent"), "There is no such provider: use aliyun, http, mailgun, postmark, resend"),
        (("fail", "resend", "--hang", "--reset"), "One command adds one kind of fault."),
        (("fail", "resend", "--after-accept"), "--after-accept belongs to --hang or --reset."),
        (("fail", "resend", "--count", "1000001"), "A count is a number from 1 to 1000000."),
        (("clear", "resent"), "There is no such provider"),
    ],
)
def test_invalid_input_is_named(run: Run, local: Running, arguments: tuple[str, ...], sentence: str) -> None:
    done = run("sandbox", *arguments)
    assert done.code == 2
    assert sentence in done.text
    assert local.request("GET", "/faults").json()["faults"] == []


def test_without_a_running_stack_the_next_step_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    done = run("sandbox", "list")
    assert done.code == 3
    assert "Start it with `make run`" in done.text


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"kind": "hang"}',
        '{"provider": "resend", "kind": "status", "status": 200}',
        '{"provider": ["resend"], "kind": "hang"}',
        '{"provider": "resend", "kind": "hang", "count": Infinity}',
        '{"provider": "resend", "kind": "delay", "seconds": NaN}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_malformed_fault_is_refused(local: Running, body: str) -> None:
    assert local.request("POST", "/faults", body).status == 422
    assert local.request("PUT", "/faults", body).status == 405


def test_another_site_cannot_break_anything(local: Running) -> None:
    headers = {"origin": "https://evil.example", "content-type": "text/plain"}
    for method, path in (("POST", "/faults"), ("DELETE", "/faults"), ("DELETE", "/faults/resend")):
        assert local.request(method, path, '{"provider": "resend", "kind": "hang"}', headers).status == 403


def test_a_form_of_the_inbox_breaks_and_repairs_a_provider(browser: Browser, local: Running) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page: Page = context.new_page()
        page.goto(local.url)
        page.get_by_text("Break something").click()
        expect(page.get_by_role("combobox", name="Provider")).to_have_value("resend")
        page.get_by_role("spinbutton", name="Status").fill("500")
        page.get_by_role("spinbutton", name="Requests").fill("7")
        page.get_by_role("button", name="Break", exact=True).click()
        pending = page.get_by_role("list", name="Pending faults")
        expect(pending).to_have_text("resend: answer with an error 500, 7 requests")
        expect(page.locator("#fault-count")).to_have_text("7 pending")
        local.sandbox.faults.take("resend")
        expect(pending).to_have_text("resend: answer with an error 500, 6 requests")

        page.get_by_role("combobox", name="Fault").select_option("delay")
        page.get_by_role("spinbutton", name="Seconds").fill("2")
        page.get_by_role("button", name="Break", exact=True).click()
        expect(pending.locator("li")).to_have_count(2)
        page.get_by_role("combobox", name="Fault").select_option("hang")
        expect(page.locator("#fault-value")).to_be_hidden()

        page.get_by_role("button", name="Repair all").click()
        expect(pending.locator("li")).to_have_count(0)
        assert local.sandbox.faults.series() == []
