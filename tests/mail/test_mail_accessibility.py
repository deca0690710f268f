"""axe-core looks at the mails in a real browser, light and dark."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from mailroom.kinds import KINDS

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: `npm ci` in tests/mail (`make test` does)"),
]


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 360, "height": 800}, color_scheme=request.param, offline=True)
        browser.close()


def violations(page: Page, html: str) -> dict[str, Any]:
    page.set_content(html, wait_until="load")
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10  # it did look
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_is_accessible(page, gallery, kind):
    assert violations(page, gallery.mail(kind, "en", "acme", "both").email.html) == {}


@pytest.mark.parametrize("brand", ["plain", "bright"])
@pytest.mark.parametrize("locale", ["ar", "ja", "hi"])
def test_a_mail_is_accessible_in_any_script_and_brand(page, gallery, locale, brand):
    for kind in ("password-reset", "notification"):
        assert violations(page, gallery.mail(kind, locale, brand, "both").email.html) == {}


def test_a_mail_with_a_logo_is_accessible_even_when_it_is_blocked(page, with_logo):
    for _, email in with_logo:
        assert violations(page, email.html) == {}


def test_dark_is_dark_and_light_is_light(page, gallery):
    page.set_content(gallery.mail("sign-in-code").email.html)
    ground = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert ground == ("rgb(26, 29, 35)" if is_dark else "rgb(255, 255, 255)")


@pytest.mark.parametrize("locale", ["en", "de", "ar", "hu", "el"])
def test_nothing_runs_over_the_edge_of_a_small_phone(page, gallery, locale):
    page.set_viewport_size({"width": 320, "height": 800})
    for kind in KINDS:
        page.set_content(gallery.mail(kind, locale, "acme", "both").email.html)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind


def test_a_double_click_takes_the_whole_code(page, gallery):
    page.set_content(gallery.mail("sign-in-code").email.html)
    page.dblclick(".code")
    assert page.evaluate("getSelection().toString()").strip() == "048291"
