"""The gallery page: every mail as its reader sees it, drawn anew when a template changes, by HTTP and in a browser."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from mailroom.model.kinds import KINDS
from mailroom_ops.templates.checks import tool_for_crafts, tool_for_spam
from mailroom_ops.templates.preview import BRANDS, FORMS
from tests.browser import violations
from tests.running import Answer, Running, running

PROJECT = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Environment: {Type: String}
  Providers: {Type: String}
Resources:
  HttpApi: {Type: AWS::Serverless::HttpApi}
"""


class Desk:
    """A running stack around a copy of the templates, and a way to edit that copy."""

    def __init__(self, stack: Running, templates: Path, originals: Path) -> None:
        self.stack = stack
        self.templates = templates
        self._originals = originals

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.templates / name
        text = path.read_text("utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        """Replace a file in one step, as editors do."""
        beside = self.templates / f"{name}.tmp"
        beside.write_text(text, "utf-8")
        beside.replace(self.templates / name)

    def mend(self) -> None:
        """Put back what was edited."""
        for original in (path for path in self._originals.rglob("*") if path.is_file()):
            name = original.relative_to(self._originals).as_posix()
            path = self.templates / name
            if not path.is_file() or path.read_bytes() != original.read_bytes():
                self.write(name, original.read_text("utf-8"))

    def mail(self, **wanted: str) -> Answer:
        return self.stack.request("GET", f"/gallery/mail.json?{urlencode({'kind': 'sign-in-code', **wanted})}")


@pytest.fixture(scope="module")
def running_desk(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("gallery")
    originals = root / "layers" / "templates"
    copytree(originals, folder / "layers" / "templates")
    (folder / "template.yaml").write_text(PROJECT)
    (folder / "secrets.yaml").write_text("webhooks/logto/authorization: Bearer gallery\n")
    with running(root=folder, secrets=folder / "secrets.yaml") as stack:
        yield Desk(stack, folder / "layers" / "templates", originals)


@pytest.fixture
def desk(running_desk: Desk) -> Iterator[Desk]:
    yield running_desk
    running_desk.mend()


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    strange: list[str] = []
    home = desk.stack.url
    opened.on("request", lambda request: strange.append(request.url) if not request.url.startswith(home) else None)
    opened.goto(f"{home}/gallery")
    expect(opened.locator("#state")).to_have_text("live")
    yield opened
    context.close()
    assert complaints == []
    assert [url for url in strange if not url.startswith(("about:", "data:"))] == []


def test_it_offers_every_kind_language_brand_and_form(desk: Desk) -> None:
    options = desk.stack.request("GET", "/gallery/options.json").json()

    assert options["kinds"] == list(KINDS)
    assert set(options["locales"]) == {path.stem for path in (desk.templates / "locales").glob("*.toml")}
    assert (options["brands"], options["forms"]) == (list(BRANDS), list(FORMS))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_there_in_each_brand_and_form_with_its_size_and_text(desk: Desk, kind: str) -> None:
    for brand in BRANDS:
        for form in ("", *FORMS):
            answer = desk.mail(kind=kind, locale="ar", brand=brand, form=form)
            said = answer.json()
            html = desk.stack.request("GET", f"/gallery/mail.html?kind={kind}&locale=ar&brand={brand}&form={form}")
            assert said["locale"] == "ar"
            assert said["size"] == {"html": len(said_html(html)), "text": len(said["text"].encode())}
            assert ("048291" in said["text"]) == (form in ("code", "both")) or not form


def said_html(answer: Answer) -> bytes:
    """Return a mail without what its page adds."""
    added = re.compile(rb'(?<=<head>)<base target="_blank"><style>[^<]*</style>')
    return added.sub(b"", answer.body).replace(b"(max-width:0)", b"(prefers-color-scheme: dark)")


@pytest.mark.parametrize("wrong", ["kind=nothing", "kind=sign-in-code&locale=xx", "", "kind=sign-in-code&brand=../x"])
def test_a_mail_that_does_not_exist_is_not_found(desk: Desk, wrong: str) -> None:
    for form in ("json", "html"):
        assert desk.stack.request("GET", f"/gallery/mail.{form}?{wrong}").status == 404
    assert desk.stack.request("POST", f"/gallery/crafts?{wrong}").status == 404


def test_a_mail_has_the_sandbox_and_the_policy_of_the_inbox(desk: Desk) -> None:
    policy = desk.stack.request("GET", "/gallery/mail.html?kind=sign-in-code").headers["content-security-policy"]

    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_the_page_comes_with_a_strict_policy_and_no_inline_code(desk: Desk) -> None:
    answer = desk.stack.request("GET", "/gallery")

    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)
    assert "//" not in answer.text


def test_another_site_may_neither_read_it_nor_start_checks(desk: Desk) -> None:
    for path in ("/gallery", "/gallery/options.json", "/gallery/events"):
        assert desk.stack.request("GET", path, headers={"host": "evil.example"}).status == 403
    strange = {"origin": "https://evil.example"}
    assert desk.stack.request("POST", "/gallery/crafts?kind=sign-in-code", headers=strange).status == 403
    assert desk.stack.request("GET", "/gallery/crafts?kind=sign-in-code").status == 404


@pytest.mark.parametrize(
    ("name", "text", "file", "line", "message"),
    [
        ("emails/sign-in-code.html", "one\n{% if %}", "emails/sign-in-code.html", 2, "syntax error"),
        ("parts/code.html", "one\n\n{{ 1 / 0 }}", "parts/code.html", 3, "unable to calculate"),
        ("layout.html", "{{ nobody.knows }}", "layout.html", 1, "undefined value"),
        ("layout.txt", "{{ subject | shout }}", "layout.txt", 1, "shout"),
        ("locales/en.toml", 'a = "b"\nc = [', "locales/en.toml", 2, "Invalid value"),
        ("locales/en.toml", "", "locales/en.toml", 0, "'about' is missing"),
        ("brand.toml", "a = 1\nb = what", "brand.toml", 2, "Invalid value"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_with_file_and_line(
    desk: Desk, name: str, text: str, file: str, line: int, message: str
) -> None:
    desk.write(name, text)

    answer = desk.mail()

    assert answer.status == 200
    error = answer.json()["error"]
    assert (error["file"], error["line"]) == (file, line)
    assert message in error["message"]
    assert error["source"] == (text.splitlines()[line - 1] if line else "")
    shown = desk.stack.request("GET", "/gallery/mail.html?kind=sign-in-code")
    assert shown.status == 200
    assert f"{file}, line {line}: " in shown.text
    assert desk.stack.request("POST", "/gallery/spam?kind=sign-in-code").status == 200


def test_a_file_that_is_not_text_is_an_error_and_not_the_end(desk: Desk) -> None:
    (desk.templates / "emails" / "sign-in-code.html").write_bytes(b"\xff\xfe")

    assert "can't decode" in desk.mail().json()["error"]["message"]
    assert "error" not in desk.mail(kind="mfa-code").json()


def test_the_checks_find_what_an_edit_broke(desk: Desk) -> None:
    if missing := tool_for_crafts():
        pytest.skip(missing)
    ask = "/gallery/crafts?kind=sign-in-code"
    good = desk.stack.request("POST", ask).json()
    desk.edit("emails/sign-in-code.html", "{% block body %}", "{% block body %}<p><video></p>")
    bad = desk.stack.request("POST", ask).json()

    assert good["invalid"] == []
    assert all(gap["fallback"] for gap in good["unsupported"])
    assert bad["invalid"] != []
    assert [gap["feature"] for gap in bad["unsupported"] if not gap["fallback"]] == ["<video> element"]


def test_spamassassin_is_asked_on_demand(desk: Desk) -> None:
    if missing := tool_for_spam():
        pytest.skip(missing)

    assert desk.stack.request("POST", "/gallery/spam?kind=sign-in-code").json()["points"] <= 0.5


def test_the_inbox_leads_to_the_gallery_and_back(page: Page, desk: Desk) -> None:
    page.get_by_role("link", name="Inbox").click()
    expect(page).to_have_url(f"{desk.stack.url}/")
    page.get_by_role("link", name="Gallery").click()
    expect(page).to_have_url(re.compile(r"/gallery"))
    expect(page.frame_locator("#frame").locator(".code")).to_be_visible()


def test_choosing_shows_that_mail_its_text_and_its_checks(page: Page) -> None:
    page.get_by_label("Kind").select_option("password-reset")
    page.get_by_label("Language").select_option("ar")
    page.get_by_label("Brand").select_option("bright")
    page.get_by_label("With").select_option("link")

    mail = page.frame_locator("#frame")
    expect(mail.locator("html")).to_have_attribute("dir", "rtl")
    expect(mail.get_by_role("link").first).to_be_visible()
    expect(page.locator("#subject")).to_have_css("direction", "rtl")
    expect(page.locator("#text")).to_contain_text("https://app.example.com/callback")
    expect(page.locator("#text")).not_to_contain_text("048291")
    expect(page.locator("#checks")).to_contain_text(re.compile(r"HTML \d+\.\d kB"))
    if not tool_for_crafts():
        expect(page.locator("#checks")).to_contain_text("Valid HTML")
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("password-reset")
    expect(mail.locator("html")).to_have_attribute("dir", "rtl")


def test_dark_and_narrow_show_the_mail_as_such_a_device_does(page: Page) -> None:
    card = page.frame_locator("#frame").locator(".card")
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="Narrow").click()

    expect(card).to_have_css("background-color", "rgb(26, 29, 35)")
    expect(page.locator("#frame")).to_have_css("width", "362px")


def test_an_edit_shows_without_a_reload(page: Page, desk: Desk) -> None:
    mail = page.frame_locator("#frame").locator("body")
    page.evaluate("window.stayed = true")
    expect(mail).to_contain_text("048291")

    desk.edit("emails/sign-in-code.html", "{% block body %}", "{% block body %}<p>Fresh from the editor</p>")
    expect(mail).to_contain_text("Fresh from the editor")
    expect(page.locator("#state")).to_contain_text("sign-in-code.html")

    desk.edit("emails/sign-in-code.html", "Fresh from the editor</p>", "</p>\n{% if %}")
    expect(page.get_by_role("alert")).to_contain_text("emails/sign-in-code.html, line")
    expect(page.get_by_role("alert")).to_contain_text("{% if %}")
    for stale in ("#frame", "#notes"):
        expect(page.locator(stale)).to_be_hidden()

    desk.mend()
    expect(mail).to_contain_text("048291")
    expect(page.locator("#broken")).to_be_hidden()
    assert page.evaluate("window.stayed")


def test_a_new_language_can_be_chosen_as_soon_as_it_is_there(page: Page, desk: Desk) -> None:
    english = (desk.templates / "locales" / "en.toml").read_text("utf-8")
    desk.write("locales/ca.toml", english)
    try:
        page.get_by_label("Language").select_option("ca")
        expect(page.frame_locator("#frame").locator("html")).to_have_attribute("lang", "ca")
    finally:
        (desk.templates / "locales" / "ca.toml").unlink()


def test_spamassassins_verdict_joins_the_checks(page: Page) -> None:
    if missing := tool_for_spam():
        pytest.skip(missing)
    page.get_by_role("button", name="Ask SpamAssassin").click()
    verdict = page.locator("#checks .good", has_text="SpamAssassin: 0 points")
    expect(verdict).to_be_visible(timeout=30_000)


def test_all_kinds_are_shown_at_once_and_each_leads_to_itself(page: Page, desk: Desk) -> None:
    page.get_by_role("button", name="All kinds").click()
    expect(page.locator("#all article")).to_have_count(len(KINDS))
    desk.write("emails/mfa-code.txt", "{{ nobody.knows }}")
    expect(page.locator("#all .bad")).to_have_text("emails/mfa-code.txt, line 1: undefined value")

    page.get_by_role("button", name="security-notice").press("Enter")
    expect(page.locator("#one")).to_be_visible()
    expect(page.get_by_label("Kind")).to_have_value("security-notice")


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.get_by_label("Kind").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#frame")).to_be_visible()
    expect(page).to_have_url(re.compile(f"kind={list(KINDS)[1]}"))
    for name in ("Language", "Brand", "With"):
        page.keyboard.press("Tab")
        expect(page.get_by_label(name)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_accessible_and_nothing_runs_over_the_edge(
    browser: Browser, desk: Desk, width: int, scheme: Literal["light", "dark"]
) -> None:
    # Our policy keeps a test's script out as well; the mail keeps its own, and is looked at in tests/mail.
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.goto(f"{desk.stack.url}/gallery#kind=password-reset&locale=ar&form=both")
    expect(opened.locator("#state")).to_have_text("live")
    for button in ("", "All kinds"):
        if button:
            opened.get_by_role("button", name=button).click()
            expect(opened.locator("#all article")).to_have_count(len(KINDS))
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(opened, "iframes: false") == {}
    context.close()


def test_it_tells_which_files_changed(desk: Desk) -> None:
    connection = http.client.HTTPConnection(desk.stack.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/gallery/events")
    stream = connection.getresponse()
    while stream.readline() != b": listening\n":
        pass
    desk.edit("locales/de.toml", "[about]", "# edited\n[about]")
    line = stream.readline()
    while not line.startswith(b"data: "):
        line = stream.readline()
    assert "locales/de.toml" in json.loads(line.removeprefix(b"data: "))
    connection.close()
