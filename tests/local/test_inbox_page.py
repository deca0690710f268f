"""The inbox page, in a real browser: live updates, emails as their recipients see them, samples."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from mailroom.model.kinds import KINDS
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.web.server import Request, Response
from tests.browser import assert_accessible
from tests.pictures import base64, png
from tests.running import Running
from tests.serving import serving


@pytest.fixture
def page(browser: Browser, stack: Running) -> Iterator[Page]:
    stack.clear()
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    external: list[str] = []
    opened.on(
        "request", lambda request: external.append(request.url) if not request.url.startswith(stack.url) else None
    )
    opened.goto(stack.url)
    expect(opened.locator("#state")).to_have_text("live")
    expect(opened.locator("#kinds button")).not_to_have_count(0)
    yield opened
    assert errors == []
    assert [url for url in external if not url.startswith(("about:", "data:"))] == []
    context.close()


def captured(**changes: Any) -> Captured:
    fields: dict[str, Any] = {
        "message_id": "m1",
        "to": "reader@example.com",
        "from_": "Acme <login@acme.example>",
        "reply_to": "",
        "subject": "Hello",
        "text": "plain words",
        "html": "<!doctype html><html><head><title>t</title></head><body><p id=words>styled words</p></body></html>",
        "headers": {"Content-Language": "en"},
        "provider": "resend",
        "kind": "sign-in-code",
        "tenant": "default",
        "locale": "en",
    }
    return Captured(**{**fields, **changes})


def rows(page: Page) -> Any:
    return page.locator("#list li")


def test_an_empty_inbox_explains_how_to_fill_it(page: Page, stack: Running) -> None:
    expect(page.locator("#nothing")).to_contain_text(f"{stack.url}/webhooks/logto")
    expect(page.locator("#nothing")).to_contain_text("Bearer local-logto-token")


def test_an_email_appears_without_reloading_and_opens(page: Page, stack: Running) -> None:
    to = stack.address()

    stack.logto({"to": to, "type": "SignIn", "payload": {"code": "048291", "locale": "de"}})

    expect(rows(page)).to_have_count(1)
    expect(page.locator("#facts")).to_contain_text(to)
    expect(page.frame_locator("#frame").locator("body")).to_contain_text("048291")
    expect(page.locator("#news")).to_contain_text("New email:")
    expect(rows(page).locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))  # as on the other pages


def test_text_source_headers_and_size_are_shown(page: Page, stack: Running) -> None:
    stack.sandbox.inbox.add(captured(message_id="m-42", headers={"X-Entity-Ref-ID": "m-42"}))
    expect(page.locator("#facts")).to_contain_text("0.1 KB")

    page.get_by_role("tab", name="Text").click()
    expect(page.get_by_role("tabpanel")).to_have_text("plain words")
    page.get_by_role("tab", name="Source").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("<p id=words>styled words</p>")
    page.get_by_role("tab", name="Headers").click()
    expect(page.get_by_role("row", name="X-Entity-Ref-ID m-42")).to_be_visible()


def chips(page: Page) -> Any:
    return page.locator("#kinds button")


def test_every_kind_is_sent_through_the_api_to_a_reader_of_ones_choice(page: Page, stack: Running) -> None:
    page.get_by_label("Language").select_option("de")
    page.get_by_label("Tenant").select_option("acme")
    to = stack.address()
    page.get_by_label("To", exact=True).fill(to)
    kinds = chips(page).all_text_contents()
    assert kinds == list(KINDS)

    for count, kind in enumerate(kinds, start=1):
        page.get_by_role("button", name=kind, exact=True).click()
        expect(rows(page)).to_have_count(count)
        expect(rows(page).first.locator("a")).to_have_attribute("aria-current", "true")

    mails = stack.inbox()
    assert {mail["kind"] for mail in mails} == {*kinds}
    assert {(mail["tenant"], mail["locale"], mail["to"]) for mail in mails} == {("acme", "de", to)}


def test_samples_go_through_logtos_webhook_in_the_chosen_language(page: Page, stack: Running) -> None:
    page.get_by_label("Through").select_option("logto")
    expect(chips(page)).to_have_count(9)
    page.get_by_label("Language").select_option("de")
    page.get_by_label("Tenant").select_option("acme")

    for count in range(9):
        chips(page).nth(count).click()
        expect(rows(page)).to_have_count(count + 1)

    mails = stack.inbox()
    assert len({mail["kind"] for mail in mails}) == 9
    assert {(mail["tenant"], mail["locale"]) for mail in mails} == {("acme", "de")}
    assert any(line.startswith("POST /webhooks/logto/{tenant} → 200") for line in stack.logs("http"))


@pytest.mark.thorough
def test_each_other_auth_server_sends_its_mail_to_the_chosen_reader(page: Page, stack: Running) -> None:
    sources = page.get_by_label("Through").locator("option").evaluate_all("options => options.map(o => o.value)")
    others = [name for name in sources if name not in ("send", "logto")]
    assert {"supabase", "kratos", "entra", "hanko", "neon", "rendered", "clerk"} <= {*others}
    to = stack.address()
    page.get_by_label("To", exact=True).fill(to)
    for count, name in enumerate(others, start=1):
        page.get_by_label("Through").select_option(name)
        expect(page.get_by_label("Language")).to_be_disabled()
        chips(page).click()
        expect(rows(page)).to_have_count(count)
    assert {mail["to"] for mail in stack.inbox()} == {to}


def test_the_addresses_that_report_something_else_than_delivery_are_offered(page: Page) -> None:
    offered = page.locator("#addresses option").evaluate_all("options => options.map(o => o.value)")
    assert offered[0] == "reader@example.com"
    assert {f"{name}@example.com" for name in ("bounced", "complained", "suppressed", "delayed")} <= {*offered}


def test_a_tenant_added_by_the_command_can_be_chosen_and_a_new_secret_is_used(browser: Browser, stack: Running) -> None:
    stack.clear()
    ssm, root = stack.aws("ssm"), "/mailroom/development/"
    new = {"senders/globex/auth": '{"from": "Globex <login@globex.example>"}'}
    secret = "webhooks/logto/authorization"
    before = ssm.get_parameter(Name=root + secret, WithDecryption=True)["Parameter"]["Value"]
    try:
        for name, value in {**new, secret: "Bearer changed-logto-token"}.items():
            ssm.put_parameter(Name=root + name, Value=value, Type="SecureString", Overwrite=True)
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(stack.url)
            page.get_by_label("Tenant").select_option("globex")
            page.get_by_role("button", name="generic-code", exact=True).click()
            expect(rows(page)).to_have_count(1)
            assert stack.inbox()[0]["from"] == "Globex <login@globex.example>"

            page.get_by_label("Through").select_option("logto")
            chips(page).first.click()
            expect(page.locator("#answer")).to_contain_text("mailroom secrets set webhooks/logto/globex/authorization")
            page.get_by_label("Tenant").select_option("default")
            stack.until(lambda: sends(page), instead=lambda: page.locator("#answer").text_content())
    finally:
        ssm.put_parameter(Name=root + secret, Value=before, Overwrite=True)
        for name in new:
            ssm.delete_parameter(Name=root + name)
        body = {"to": stack.address(), "type": "SignIn", "payload": {"code": "048291"}}
        stack.until(lambda: stack.logto(body).status == 200)


def sends(page: Page) -> bool:
    """Press the first kind; return whether the mail was accepted."""
    with page.expect_response("**/console/samples") as response:
        chips(page).first.click()
    return bool(response.value.json()["status"] == 200)


RUNNERS = {
    "curl": ["bash", "-c"],
    "node": ["node", "--input-type=module", "-e"],
    "python": [sys.executable, "-c"],
}


@pytest.mark.parametrize("source", ["send", "logto", "supabase", "casdoor"])
@pytest.mark.parametrize("language", RUNNERS)
def test_a_copied_program_sends_the_mail(stack: Running, source: str, language: str) -> None:
    command = RUNNERS[language]
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}: install it with apt-get")
    to = stack.address()
    kind = "SignIn" if source == "logto" else "notification"
    sample = json.dumps({"source": source, "kind": kind, "to": to, "locale": "pt-BR", "tenant": "default"})
    answer = stack.request("POST", "/console/snippets", sample, {"content-type": "application/json"})
    assert answer.status == 200

    subprocess.run([*command, answer.json()[language]], check=True, capture_output=True, timeout=30)

    mail = stack.mail_to(to)
    assert source not in ("send", "logto") or mail.locale == "pt-BR"


def test_no_click_is_lost_while_the_choices_are_loading(browser: Browser, stack: Running) -> None:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        routes: list[Route] = []
        page.route("**/console/options.json", lambda route: routes.append(route))
        with page.expect_request("**/console/options.json"):
            page.goto(stack.url)
        node = page.get_by_role("button", name="Node", exact=True)
        expect(node).to_be_disabled()
        routes[0].continue_()
        node.click()
        expect(page.locator("#copy-answer")).to_have_text("Copied.")


def test_a_program_is_copied_and_shown(browser: Browser, stack: Running) -> None:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(stack.url)
        page.get_by_label("To", exact=True).fill("nobody")
        page.get_by_role("button", name="Node", exact=True).click()
        expect(page.locator("#snippet")).to_be_hidden()
        page.get_by_label("To", exact=True).fill("bounced@example.com")
        page.get_by_role("button", name="Node", exact=True).click()
        expect(page.locator("#copy-answer")).to_have_text("Copied.")
        expect(page.locator("#snippet")).to_contain_text('"to": "bounced@example.com"')
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#snippet").text_content()


@pytest.mark.thorough
def test_the_page_is_accessible_on_a_desk_and_on_a_phone(browser: Browser, stack: Running) -> None:
    stack.clear()
    stack.sandbox.inbox.add(captured())
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(stack.url)
        expect(rows(page)).to_have_count(1)
        page.get_by_text("Break something").click()
        assert_accessible(page)


def test_dark_and_narrow_show_the_email_as_on_such_a_device(page: Page, stack: Running) -> None:
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


def test_a_logo_inside_an_email_is_shown_without_loading_anything(page: Page, stack: Running) -> None:
    logo = f"data:image/png;base64,{base64(png(200, 72, bytes(3) + bytes([255])))}"
    html = '<html><head></head><body><img src="cid:logo.png@1" alt="Acme"></body></html>'
    stack.sandbox.inbox.add(captured(html=html, images={"logo.png@1": logo}))

    picture = page.frame_locator("#frame").get_by_alt_text("Acme")
    expect(picture).to_have_js_property("naturalWidth", 200)
    [mail] = stack.inbox()
    assert mail["images"] == {"logo.png@1": logo}
    assert mail["html"] == html


@pytest.fixture
def external_server() -> Iterator[tuple[str, list[str]]]:
    """A server of another site, and the targets of the requests to it."""
    targets: list[str] = []

    def answer(request: Request) -> Response:
        targets.append(request.target)
        return Response(200, b"<p>elsewhere</p>", (("content-type", "text/html"),))

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}", targets


def test_an_email_cannot_run_scripts_load_files_or_leave_its_frame(
    browser: Browser, stack: Running, external_server: tuple[str, list[str]]
) -> None:
    stack.clear()
    url, targets = external_server
    evil = f"""<html><head><script>parent.document.title='owned'</script><link rel=stylesheet href={url}/a.css>
      <meta http-equiv=refresh content="0;url={url}/refresh"><style>@import url({url}/b.css)</style></head>
      <body onload="parent.document.title='owned'"><p>harmless</p><img src={url}/p.gif onerror="alert(1)">
      <iframe src={url}/frame></iframe><object data={url}/object></object><video src={url}/video autoplay></video>
      <form action={url}/form><button>press</button></form></body></html>"""
    context = browser.new_context()
    opened = context.new_page()
    opened.on("dialog", lambda dialog: targets.append(dialog.message))
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
    assert targets == []
    context.close()


def test_a_link_in_an_email_opens_in_a_new_tab(
    page: Page, stack: Running, external_server: tuple[str, list[str]]
) -> None:
    url, _ = external_server
    stack.sandbox.inbox.add(
        captured(html=f"<html><head></head><body><a href='{url}/reset?t=1'>reset</a></body></html>")
    )

    with page.expect_popup() as popup:
        page.frame_locator("#frame").get_by_role("link").click()

    expect(popup.value.locator("p")).to_have_text("elsewhere")
    assert popup.value.url == f"{url}/reset?t=1"


def test_a_right_to_left_email_is_shown_from_right_to_left(page: Page, stack: Running) -> None:
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

    page.get_by_role("tab", name="Email").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Text")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_text("plain words")


def test_emptying_the_inbox_empties_every_open_page(page: Page, stack: Running) -> None:
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


def test_several_emails_are_deleted_only_after_a_confirmation(page: Page, stack: Running) -> None:
    for number in range(3):
        stack.sandbox.inbox.add(captured(subject=f"Mail {number}"))
    expect(rows(page)).to_have_count(3)
    questions: list[str] = []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.accept() if len(questions) > 1 else dialog.dismiss()

    page.on("dialog", answer)
    page.get_by_role("button", name="Empty inbox").click()
    expect(rows(page)).to_have_count(3)
    page.get_by_role("button", name="Empty inbox").click()

    expect(rows(page)).to_have_count(0)
    assert questions == ["Delete all 3 emails?"] * 2


def test_an_email_leads_to_its_timeline_in_the_console(page: Page, stack: Running) -> None:
    message_id = "0123456789abcdef" * 2
    stack.sandbox.inbox.add(captured(message_id=message_id))
    rows(page).locator("a").click()

    timeline = page.get_by_role("link", name="Timeline")

    expect(timeline).to_have_attribute("href", f"/console/deliveries/{message_id}")


def test_on_a_phone_either_the_list_or_the_email_fills_the_width(browser: Browser, stack: Running) -> None:
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


def test_colors_have_enough_contrast_in_light_and_dark(browser: Browser, stack: Running) -> None:
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
            colors = opened.eval_on_selector(
                selector, "(e) => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert contrast(*colors) >= 4.5, (scheme, selector, colors)
        context.close()


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
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


def test_the_page_of_an_email_is_sandboxed_even_outside_its_frame(stack: Running) -> None:
    mail = captured()
    stack.sandbox.inbox.add(mail)

    policy = stack.request("GET", f"/console/mails/{mail.id}.html").headers["content-security-policy"]

    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "null", '{"type": "SignIn"}', '{"source": "nothing"}', '{"source": "logto", "kind": "Nothing"}'),
        '{"source": "logto", "kind": "SignIn", "tenant": "nobody"}',
        r'{"source": "send", "to": "\ud800"}',
        pytest.param('{"source":' * 50_000, id="deep"),
    ],
)
def test_an_unknown_sample_is_refused(stack: Running, body: str) -> None:
    for path in ("/console/samples", "/console/snippets"):
        assert stack.request("POST", path, body, {"content-type": "application/json"}).status == 422
        assert stack.request("POST", path, body, {"content-type": "text/plain"}).status == 415


def test_an_unknown_email_is_not_found(stack: Running, root: Path) -> None:
    for path in (
        "/console/mails/none.json",
        "/console/mails/none.html",
        "/console/mails/x",
        "/console/../secrets.yaml",
    ):
        assert stack.request("GET", path).status == 404
