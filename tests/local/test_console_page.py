"""The inbox page, in a real browser: it fills by itself, shows a mail as its reader sees it, and sends samples."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.web.server import Request, Response, Server
from tests.running import Running


@pytest.fixture
def page(browser: Browser, stack: Running) -> Iterator[Page]:
    stack.clear()
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    strange: list[str] = []
    opened.on("request", lambda request: strange.append(request.url) if not request.url.startswith(stack.url) else None)
    opened.goto(stack.url)
    expect(opened.locator("#state")).to_have_text("listening")
    yield opened
    assert complaints == []
    assert [url for url in strange if not url.startswith(("about:", "data:"))] == []
    context.close()


def captured(**changes: Any) -> Captured:
    known: dict[str, Any] = {
        "message_id": "m1",
        "to": "reader@example.com",
        "from_": "Acme <login@acme.example>",
        "reply_to": "",
        "subject": "Hello",
        "text": "plain words",
        "html": "<!doctype html><html><head><title>t</title></head><body><p id=said>styled words</p></body></html>",
        "headers": {"Content-Language": "en"},
        "provider": "resend",
        "kind": "sign-in-code",
        "tenant": "default",
        "locale": "en",
    }
    return Captured(**{**known, **changes})


def rows(page: Page) -> Any:
    return page.locator("#list li")


def test_an_empty_inbox_says_how_to_fill_it(page: Page, stack: Running) -> None:
    expect(page.locator("#nothing")).to_contain_text(f"{stack.url}/webhooks/logto")
    expect(page.locator("#nothing")).to_contain_text("Bearer local-logto-token")


def test_a_mail_appears_without_a_reload_and_opens(page: Page, stack: Running) -> None:
    to = stack.address()

    stack.logto({"to": to, "type": "SignIn", "payload": {"code": "048291", "locale": "de"}})

    expect(rows(page)).to_have_count(1)
    expect(page.locator("#facts")).to_contain_text(to)
    expect(page.frame_locator("#frame").locator("body")).to_contain_text("048291")
    expect(page.locator("#news")).to_contain_text("New mail:")


def test_text_source_headers_and_size_are_there(page: Page, stack: Running) -> None:
    stack.sandbox.inbox.add(captured(message_id="m-42", headers={"X-Entity-Ref-ID": "m-42"}))
    expect(page.locator("#facts")).to_contain_text("0.1 KB")

    page.get_by_role("tab", name="Text").click()
    expect(page.get_by_role("tabpanel")).to_have_text("plain words")
    page.get_by_role("tab", name="Source").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("<p id=said>styled words</p>")
    page.get_by_role("tab", name="Headers").click()
    expect(page.get_by_role("row", name="X-Entity-Ref-ID m-42")).to_be_visible()


def test_a_sample_of_each_type_goes_through_the_webhook_in_the_chosen_language(page: Page, stack: Running) -> None:
    expect(page.locator("#types button")).to_have_count(9)
    page.get_by_label("Language").select_option("de")
    page.get_by_label("Tenant").select_option("acme")
    types = [str(button.get_attribute("data-type")) for button in page.locator("#types button").all()]

    for count, type_ in enumerate(types, start=1):
        page.locator(f'#types button[data-type="{type_}"]').click()
        expect(rows(page)).to_have_count(count)
        expect(rows(page).first.locator("a")).to_have_attribute("aria-current", "true")

    mails = stack.inbox()
    assert len({mail["kind"] for mail in mails}) == 9
    assert {(mail["tenant"], mail["locale"]) for mail in mails} == {("acme", "de")}
    assert any(line.startswith("POST /webhooks/logto/{tenant} → 200") for line in stack.logs("http"))


def test_dark_and_narrow_show_the_mail_as_such_a_device_does(page: Page, stack: Running) -> None:
    style = "<style>p{color:rgb(1,1,1)}@media (prefers-color-scheme: dark){p{color:rgb(2,2,2)}}</style>"
    stack.sandbox.inbox.add(captured(html=f"<html><head>{style}</head><body><p>words</p></body></html>"))
    words = page.frame_locator("#frame").locator("p")
    expect(words).to_have_css("color", "rgb(1, 1, 1)")
    wide = page.locator("#frame").bounding_box()

    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="Narrow").click()

    expect(words).to_have_css("color", "rgb(2, 2, 2)")
    expect(page.locator("#frame")).to_have_css("width", "362px")
    assert wide
    assert wide["width"] > 700
    page.get_by_role("button", name="Dark").click()
    expect(words).to_have_css("color", "rgb(1, 1, 1)")


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A stranger's server, and what it was asked for."""
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.target)
        return Response(200, b"<p>gotcha</p>", (("content-type", "text/html"),))

    with Server(0, answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_mail_cannot_run_a_script_load_anything_or_leave_its_frame(
    browser: Browser, stack: Running, elsewhere: tuple[str, list[str]]
) -> None:
    stack.clear()
    url, asked = elsewhere
    evil = f"""<html><head><script>parent.document.title='owned'</script><link rel=stylesheet href={url}/a.css>
      <meta http-equiv=refresh content="0;url={url}/refresh"><style>@import url({url}/b.css)</style></head>
      <body onload="parent.document.title='owned'"><p>harmless</p><img src={url}/p.gif onerror="alert(1)">
      <iframe src={url}/frame></iframe><object data={url}/object></object><video src={url}/video autoplay></video>
      <form action={url}/form><button>press</button></form></body></html>"""
    context = browser.new_context()
    opened = context.new_page()
    opened.on("dialog", lambda dialog: asked.append(dialog.message))
    stack.sandbox.inbox.add(
        captured(html=evil, subject="<img src=x onerror=alert(1)>", from_="<b>x</b> <a@example.com>")
    )

    opened.goto(stack.url)
    rows(opened).first.click()
    frame = opened.frame_locator("#frame")
    expect(frame.locator("p")).to_have_text("harmless")
    frame.get_by_role("button").click()

    expect(opened.locator("#subject")).to_have_text("<img src=x onerror=alert(1)>")
    expect(frame.locator("p")).to_have_text("harmless")
    assert opened.title() == "Mailroom"
    assert asked == []
    context.close()


def test_a_link_in_a_mail_opens_beside_the_page(page: Page, stack: Running, elsewhere: tuple[str, list[str]]) -> None:
    url, _ = elsewhere
    stack.sandbox.inbox.add(
        captured(html=f"<html><head></head><body><a href='{url}/reset?t=1'>reset</a></body></html>")
    )

    with page.expect_popup() as popup:
        page.frame_locator("#frame").get_by_role("link").click()

    expect(popup.value.locator("p")).to_have_text("gotcha")
    assert popup.value.url == f"{url}/reset?t=1"


def test_a_right_to_left_mail_reads_from_right_to_left(page: Page, stack: Running) -> None:
    stack.sandbox.inbox.add(captured(subject="رمز تسجيل الدخول", text="رمزك هو 123456", locale="ar"))

    expect(page.locator("#subject")).to_have_css("direction", "rtl")
    page.get_by_role("tab", name="Text").click()
    expect(page.get_by_role("tabpanel")).to_have_css("direction", "rtl")


def test_it_can_be_used_without_a_mouse(page: Page, stack: Running) -> None:
    for number in range(3):
        stack.sandbox.inbox.add(captured(subject=f"Mail {number}"))
    expect(rows(page)).to_have_count(3)

    rows(page).first.locator("a").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#subject")).to_have_text("Mail 2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    expect(page.locator("#subject")).to_have_text("Mail 0")
    page.keyboard.press("k")
    expect(page.locator("#subject")).to_have_text("Mail 1")

    page.get_by_role("tab", name="Mail").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Text")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_text("plain words")


def test_emptying_empties_every_open_page(page: Page, stack: Running) -> None:
    stack.sandbox.inbox.add(captured())
    expect(rows(page)).to_have_count(1)
    other = page.context.new_page()
    other.goto(stack.url)
    expect(rows(other)).to_have_count(1)

    page.get_by_role("button", name="Empty inbox").click()

    for each in (page, other):
        expect(rows(each)).to_have_count(0)
        expect(each.locator("#nothing")).to_be_visible()
    assert stack.inbox() == []


def test_on_a_phone_the_list_and_the_mail_take_turns_and_nothing_is_cut_off(browser: Browser, stack: Running) -> None:
    stack.clear()
    context = browser.new_context(viewport={"width": 360, "height": 740})
    opened = context.new_page()
    opened.goto(stack.url)
    stack.sandbox.inbox.add(
        captured(subject="Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft")
    )

    rows(opened).first.click()
    expect(opened.locator("#subject")).to_be_visible()
    expect(opened.locator("#list")).to_be_hidden()
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    opened.get_by_role("link", name="Inbox").click()
    expect(opened.locator("#list")).to_be_visible()
    expect(opened.locator("#mail")).to_be_hidden()
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_colours_can_be_read_by_day_and_by_night(browser: Browser, stack: Running) -> None:
    stack.clear()
    stack.sandbox.inbox.add(captured())
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        opened = context.new_page()
        opened.goto(stack.url)
        expect(rows(opened)).to_have_count(1)
        rows(opened).first.click()
        for selector in (
            "h1",
            "#about",
            "#state",
            ".list .who",
            ".list .kind",
            "#subject",
            "#facts dt",
            ".tabs button",
        ):
            pair = opened.eval_on_selector(
                selector, "(e) => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert contrast(*pair) >= 4.5, (scheme, selector, pair)
        context.close()


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_page_comes_with_a_strict_policy_and_no_inline_code(stack: Running) -> None:
    answer = stack.request("GET", "/")
    policy = answer.headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)
    assert "//" not in re.sub(r"https?://www\.w3\.org\S*", "", answer.text)


def test_a_mails_own_page_is_sandboxed_even_when_opened_by_itself(stack: Running) -> None:
    mail = captured()
    stack.sandbox.inbox.add(mail)

    policy = stack.request("GET", f"/console/mails/{mail.id}.html").headers["content-security-policy"]

    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize("body", ["", "[]", '{"type": "Nothing"}', '{"type": "SignIn", "tenant": "nobody"}', "null"])
def test_a_sample_that_does_not_exist_is_refused(stack: Running, body: str) -> None:
    assert stack.request("POST", "/console/samples", body, {"content-type": "application/json"}).status == 422


def test_a_mail_that_is_gone_is_not_found(stack: Running, root: Path) -> None:
    for path in (
        "/console/mails/none.json",
        "/console/mails/none.html",
        "/console/mails/x",
        "/console/../secrets.yaml",
    ):
        assert stack.request("GET", path).status == 404
