"""The gallery page: every kind of email, redrawn when a template changes; by HTTP and in a browser."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree
from typing import Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from mailroom.model.kinds import KINDS
from mailroom_ops.console.console import PARAMETERS_TTL_SECONDS
from mailroom_ops.templates.checks import missing_html_tools, missing_spam_tools
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


# Each thumbnail that was loaded shows its mail to the end.
WHOLE_MAILS = """async () => {
  const frames = [...document.querySelectorAll(".thumbnail iframe")].slice(0, 4);
  while (frames.some((frame) => !frame.style.transform)) await new Promise((done) => setTimeout(done, 20));
  return frames.every((frame) => {
    const { bottom } = frame.getBoundingClientRect();
    return frame.clientHeight >= frame.contentDocument.documentElement.scrollHeight
      && bottom <= frame.parentElement.getBoundingClientRect().bottom;
  });
}"""


class Gallery:
    """A running stack with a copy of the templates, which tests edit."""

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
        temporary = self.templates / f"{name}.tmp"
        temporary.write_text(text, "utf-8")
        temporary.replace(self.templates / name)

    def restore(self) -> None:
        """Undo all edits."""
        for original in (path for path in self._originals.rglob("*") if path.is_file()):
            name = original.relative_to(self._originals).as_posix()
            path = self.templates / name
            if not path.is_file() or path.read_bytes() != original.read_bytes():
                self.write(name, original.read_text("utf-8"))

    def mail(self, **options: str) -> Answer:
        return self.stack.request("GET", f"/gallery/mail.json?{urlencode({'kind': 'sign-in-code', **options})}")


@pytest.fixture(scope="module")
def running_gallery(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("gallery")
    originals = root / "layers" / "templates"
    copytree(originals, folder / "layers" / "templates")
    (folder / "template.yaml").write_text(PROJECT)
    (folder / "secrets.yaml").write_text("webhooks/logto/authorization: Bearer gallery\n")
    with running(root=folder, secrets=folder / "secrets.yaml") as stack:
        yield Gallery(stack, folder / "layers" / "templates", originals)


@pytest.fixture
def gallery(running_gallery: Gallery) -> Iterator[Gallery]:
    yield running_gallery
    running_gallery.restore()


@pytest.fixture
def page(browser: Browser, gallery: Gallery) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    external: list[str] = []
    home = gallery.stack.url
    opened.on("request", lambda request: external.append(request.url) if not request.url.startswith(home) else None)
    opened.goto(f"{home}/gallery")
    expect(opened.locator("#state")).to_have_text("live")
    yield opened
    context.close()
    assert errors == []
    assert [url for url in external if not url.startswith(("about:", "data:"))] == []


def test_it_offers_every_kind_language_brand_and_form(gallery: Gallery) -> None:
    options = gallery.stack.request("GET", "/gallery/options.json").json()

    assert options["kinds"] == list(KINDS)
    assert set(options["locales"]) == {path.stem for path in (gallery.templates / "locales").glob("*.toml")}
    assert (options["brands"], options["forms"]) == (list(BRANDS), list(FORMS))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_rendered_in_each_brand_and_form_with_size_and_text(gallery: Gallery, kind: str) -> None:
    for brand in BRANDS:
        for form in ("", *FORMS):
            answer = gallery.mail(kind=kind, locale="ar", brand=brand, form=form)
            mail = answer.json()
            html = gallery.stack.request("GET", f"/gallery/mail.html?kind={kind}&locale=ar&brand={brand}&form={form}")
            assert mail["locale"] == "ar"
            assert mail["size"] == {"html": len(email_html(html)), "text": len(mail["text"].encode())}
            assert ("048291" in mail["text"]) == (form in ("code", "both")) or not form


@pytest.fixture
def globex(gallery: Gallery) -> Iterator[None]:
    """A tenant of the environment with a brand, a sender for each purpose, and a template of its own."""
    parameters = {
        "brands/globex": {"name": "Globex", "color": "#ff00aa", "support_email": "help@globex.example"},
        "senders/globex/auth": {"from": "Globex <login@globex.example>"},
        "senders/globex/notification": {"from": "Globex News <news@globex.example>"},
    }
    ssm = gallery.stack.aws("ssm")
    for name, value in parameters.items():
        full_name = f"/mailroom/development/{name}"
        ssm.put_parameter(Name=full_name, Value=json.dumps(value), Type="String", Overwrite=True)
    body = '{% extends "layout.html" %}{% block body %}<p>Welcome aboard, {{ brand.name }}</p>{% endblock %}'
    folder = gallery.templates / "tenants" / "globex"
    (folder / "emails").mkdir(parents=True, exist_ok=True)
    gallery.write("tenants/globex/emails/welcome.html", body)
    (folder / "locales").mkdir(exist_ok=True)
    gallery.write("tenants/globex/locales/mt.toml", '[welcome]\nsubject = "Merħba"\nheading = "Merħba"\n')
    time.sleep(PARAMETERS_TTL_SECONDS)  # of the parameters that another test has read
    yield
    rmtree(folder)


def test_a_tenant_of_the_environment_is_shown_with_its_own_brand_sender_and_kinds(
    gallery: Gallery, globex: None
) -> None:
    options = gallery.stack.request("GET", "/gallery/options.json").json()["tenants"]
    code = gallery.mail(tenant="globex").json()
    news = gallery.mail(tenant="globex", kind="notification").json()
    welcome = gallery.stack.request("GET", "/gallery/mail.html?kind=welcome&tenant=globex")

    assert list(options) == ["default", "globex"]
    assert (options["globex"]["kinds"], "mt" in options["globex"]["locales"]) == ([*KINDS, "welcome"], True)
    assert options["default"]["kinds"] == list(KINDS)
    assert (code["subject"], code["from"]) == ("Your Globex sign-in code", "Globex <login@globex.example>")
    assert "help@globex.example" in code["text"]
    assert news["from"] == "Globex News <news@globex.example>"
    assert "Welcome aboard, Globex" in welcome.text
    assert gallery.mail(tenant="globex", kind="welcome", locale="mt").json()["subject"] == "Merħba"


@pytest.mark.parametrize("wrong", ["tenant=nobody", "tenant=../x", "kind=welcome", "kind=welcome&tenant=default"])
def test_a_tenant_or_kind_that_does_not_exist_is_not_found(gallery: Gallery, wrong: str) -> None:
    assert gallery.stack.request("GET", f"/gallery/mail.json?kind=sign-in-code&{wrong}").status == 404


def test_a_tenant_is_chosen_beside_the_sample_brands(globex: None, page: Page) -> None:
    page.get_by_label("Brand").select_option("tenant:globex")
    page.get_by_label("Kind").select_option("welcome")

    expect(page.frame_locator("#frame").locator("body")).to_contain_text("Welcome aboard, Globex")
    page.reload()
    expect(page.get_by_label("Brand")).to_have_value("tenant:globex")
    expect(page.get_by_label("Kind")).to_have_value("welcome")


def email_html(answer: Answer) -> bytes:
    """Return an email without the additions of its page."""
    added = re.compile(rb'(?<=<head>)<base target="_blank"><style>[^<]*</style>')
    return added.sub(b"", answer.body).replace(b"(max-width:0)", b"(prefers-color-scheme: dark)")


@pytest.mark.parametrize("wrong", ["kind=nothing", "kind=sign-in-code&locale=xx", "", "kind=sign-in-code&brand=../x"])
def test_an_unknown_email_is_not_found(gallery: Gallery, wrong: str) -> None:
    for form in ("json", "html"):
        assert gallery.stack.request("GET", f"/gallery/mail.{form}?{wrong}").status == 404
    assert gallery.stack.request("POST", f"/gallery/crafts?{wrong}").status == 404


def test_a_missing_tool_is_named_for_emails_that_exist(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom_ops.console.gallery.missing_html_tools", lambda: "needs npm")

    answer = gallery.stack.request("POST", "/gallery/crafts?kind=sign-in-code")

    assert answer.json() == {"error": {"message": "needs npm"}}
    assert gallery.stack.request("POST", "/gallery/crafts?kind=nothing").status == 404


def test_an_email_has_the_sandbox_and_the_policy_of_the_inbox(gallery: Gallery) -> None:
    policy = gallery.stack.request("GET", "/gallery/mail.html?kind=sign-in-code").headers["content-security-policy"]

    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_the_page_comes_with_a_strict_policy_and_no_inline_code(gallery: Gallery) -> None:
    answer = gallery.stack.request("GET", "/gallery")

    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)
    assert "//" not in answer.text


def test_another_site_can_neither_read_it_nor_start_checks(gallery: Gallery) -> None:
    for path in ("/gallery", "/gallery/options.json", "/gallery/events"):
        assert gallery.stack.request("GET", path, headers={"host": "evil.example"}).status == 403
    headers = {"origin": "https://evil.example"}
    assert gallery.stack.request("POST", "/gallery/crafts?kind=sign-in-code", headers=headers).status == 403
    assert gallery.stack.request("GET", "/gallery/crafts?kind=sign-in-code").status == 404


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
def test_an_error_in_a_template_is_shown_with_file_and_line(
    gallery: Gallery, name: str, text: str, file: str, line: int, message: str
) -> None:
    gallery.write(name, text)

    answer = gallery.mail()

    assert answer.status == 200
    error = answer.json()["error"]
    assert (error["file"], error["line"]) == (file, line)
    assert message in error["message"]
    assert error["source"] == (text.splitlines()[line - 1] if line else "")
    shown = gallery.stack.request("GET", "/gallery/mail.html?kind=sign-in-code")
    assert shown.status == 200
    assert f"{file}, line {line}: " in shown.text
    assert gallery.stack.request("POST", "/gallery/spam?kind=sign-in-code").status == 200


def test_a_file_that_is_not_text_breaks_only_its_own_email(gallery: Gallery) -> None:
    (gallery.templates / "emails" / "sign-in-code.html").write_bytes(b"\xff\xfe")

    assert "can't decode" in gallery.mail().json()["error"]["message"]
    assert "error" not in gallery.mail(kind="mfa-code").json()


@pytest.mark.thorough
def test_the_checks_find_a_mistake_in_an_edit(gallery: Gallery) -> None:
    if missing := missing_html_tools():
        pytest.skip(missing)
    check = "/gallery/crafts?kind=sign-in-code"
    good = gallery.stack.request("POST", check).json()
    gallery.edit("emails/sign-in-code.html", "{% block body %}", "{% block body %}<p><video></p>")
    bad = gallery.stack.request("POST", check).json()

    assert good["invalid"] == []
    assert all(gap["fallback"] for gap in good["unsupported"])
    assert bad["invalid"] != []
    assert [gap["feature"] for gap in bad["unsupported"] if not gap["fallback"]] == ["<video> element"]


def test_spamassassin_runs_on_demand(gallery: Gallery) -> None:
    if missing := missing_spam_tools():
        pytest.skip(missing)

    assert gallery.stack.request("POST", "/gallery/spam?kind=sign-in-code").json()["points"] <= 0.5


def test_inbox_and_gallery_link_to_each_other(page: Page, gallery: Gallery) -> None:
    page.get_by_role("link", name="Inbox").click()
    expect(page).to_have_url(f"{gallery.stack.url}/")
    page.get_by_role("link", name="Gallery").click()
    expect(page).to_have_url(re.compile(r"/gallery"))
    expect(page.frame_locator("#frame").locator(".code")).to_be_visible()


def test_a_choice_shows_the_email_its_text_and_its_checks(page: Page) -> None:
    page.get_by_label("Kind").select_option("password-reset")
    page.get_by_label("Language").select_option("ar")
    page.get_by_label("Brand").select_option("bright")
    page.get_by_label("Content").select_option("link")

    mail = page.frame_locator("#frame")
    expect(mail.locator("html")).to_have_attribute("dir", "rtl")
    expect(mail.get_by_role("link").first).to_be_visible()
    expect(page.locator("#subject")).to_have_css("direction", "rtl")
    expect(page.locator("#text")).to_contain_text("https://app.example.com/callback")
    expect(page.locator("#text")).not_to_contain_text("048291")
    expect(page.locator("#checks")).to_contain_text(re.compile(r"HTML \d+\.\d kB"))
    if not missing_html_tools():
        expect(page.locator("#checks")).to_contain_text("Valid HTML", timeout=20_000)
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("password-reset")
    expect(mail.locator("html")).to_have_attribute("dir", "rtl")


def test_dark_and_narrow_show_the_email_as_on_such_a_device(page: Page) -> None:
    card = page.frame_locator("#frame").locator(".card")
    expect(card).to_have_css("background-color", "rgb(255, 255, 255)")
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="Narrow").click()

    expect(card).to_have_css("background-color", "rgb(26, 29, 35)")
    expect(page.locator("#frame")).to_have_css("width", "362px")


def test_an_edit_is_shown_without_reloading(page: Page, gallery: Gallery) -> None:
    mail = page.frame_locator("#frame").locator("body")
    page.evaluate("window.stayed = true")
    expect(mail).to_contain_text("048291")

    gallery.edit("emails/sign-in-code.html", "{% block body %}", "{% block body %}<p>Fresh from the editor</p>")
    expect(mail).to_contain_text("Fresh from the editor")
    expect(page.locator("#state")).to_contain_text("sign-in-code.html")

    gallery.edit("emails/sign-in-code.html", "Fresh from the editor</p>", "</p>\n{% if %}")
    expect(page.get_by_role("alert")).to_contain_text("emails/sign-in-code.html, line")
    expect(page.get_by_role("alert")).to_contain_text("{% if %}")
    for stale in ("#frame", "#notes"):
        expect(page.locator(stale)).to_be_hidden()

    gallery.restore()
    expect(mail).to_contain_text("048291")
    expect(page.locator("#broken")).to_be_hidden()
    assert page.evaluate("window.stayed")


def test_a_new_language_can_be_chosen_at_once(page: Page, gallery: Gallery) -> None:
    english = (gallery.templates / "locales" / "en.toml").read_text("utf-8")
    gallery.write("locales/ca.toml", english)
    try:
        page.get_by_label("Language").select_option("ca")
        expect(page.frame_locator("#frame").locator("html")).to_have_attribute("lang", "ca")
        expect(page.locator("#checks")).not_to_contain_text("Checking", timeout=30_000)
    finally:
        (gallery.templates / "locales" / "ca.toml").unlink()


@pytest.mark.thorough
def test_the_verdict_of_spamassassin_is_added_to_the_checks(page: Page) -> None:
    if missing := missing_spam_tools():
        pytest.skip(missing)
    page.get_by_role("button", name="Run SpamAssassin").click()
    verdict = page.locator("#checks .good", has_text="SpamAssassin: 0 points")
    expect(verdict).to_be_visible(timeout=30_000)


def test_the_overview_shows_all_kinds_and_links_to_each(page: Page, gallery: Gallery) -> None:
    page.get_by_role("button", name="All kinds").click()
    expect(page.locator("#all article")).to_have_count(len(KINDS))
    gallery.write("emails/mfa-code.txt", "{{ nobody.knows }}")
    expect(page.locator("#all .bad")).to_have_text("emails/mfa-code.txt, line 1: undefined value")

    assert page.evaluate(WHOLE_MAILS), "a thumbnail cuts its mail off"
    tops = page.locator("#all article").evaluate_all("cards => cards.map(card => card.getBoundingClientRect().top)")
    assert tops.count(tops[0]) >= 4

    page.get_by_role("button", name="security-notice").press("Enter")
    expect(page.locator("#one")).to_be_visible()
    expect(page.get_by_label("Kind")).to_have_value("security-notice")


def test_a_click_on_a_thumbnail_opens_its_mail(page: Page) -> None:
    page.get_by_role("button", name="All kinds").click()
    page.locator("#all article", has_text="mfa-code").first.locator(".thumbnail").click(force=True)

    expect(page.locator("#one")).to_be_visible()
    expect(page.get_by_label("Kind")).to_have_value("mfa-code")


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.get_by_label("Kind").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#frame")).to_be_visible()
    expect(page).to_have_url(re.compile(f"kind={list(KINDS)[1]}"))
    for name in ("Language", "Brand", "Content"):
        page.keyboard.press("Tab")
        expect(page.get_by_label(name)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_accessible_and_fits_the_width(
    browser: Browser, gallery: Gallery, width: int, scheme: Literal["light", "dark"]
) -> None:
    # The policy of the page would block the script of axe; that of the email stays, tests/mail checks the email.
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.goto(f"{gallery.stack.url}/gallery#kind=password-reset&locale=ar&form=both")
    expect(opened.locator("#state")).to_have_text("live")
    for button in ("", "All kinds"):
        if button:
            opened.get_by_role("button", name=button).click()
            expect(opened.locator("#all article")).to_have_count(len(KINDS))
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(opened, "iframes: false") == {}
    context.close()


def test_an_event_names_the_changed_files(gallery: Gallery) -> None:
    connection = http.client.HTTPConnection(gallery.stack.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/gallery/events")
    stream = connection.getresponse()
    while stream.readline() != b": listening\n":
        pass
    gallery.edit("locales/de.toml", "[about]", "# edited\n[about]")
    line = stream.readline()
    while not line.startswith(b"data: "):
        line = stream.readline()
    assert "locales/de.toml" in json.loads(line.removeprefix(b"data: "))
    connection.close()
