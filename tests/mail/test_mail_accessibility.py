"""axe-core looks at the mails in a real browser, light and dark."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from mailroom.model.kinds import KINDS
from tests import browser as looking

LOCALES = ["en", "de", "ar", "hu", "el", "hr", "sl", "ca", "lt", "lv", "et", "bn", "ms", "ur", "fil", "ta", "te", "mr"]


@pytest.fixture(scope="module", params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme=request.param, offline=True)
    yield opened
    opened.close()


def violations(page: Page, html: str) -> dict[str, Any]:
    page.set_content(html, wait_until="load")
    return looking.violations(page)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_is_accessible(page, gallery, kind):
    assert violations(page, gallery.mail(kind, "en", "acme", "both").email.html) == {}


@pytest.mark.parametrize("brand", ["plain", "bright"])
@pytest.mark.parametrize("locale", ["ar", "ja", "hi", "ta", "te"])
def test_a_mail_is_accessible_in_any_script_and_brand(page, gallery, locale, brand):
    for kind in ("password-reset", "notification"):
        assert violations(page, gallery.mail(kind, locale, brand, "both").email.html) == {}


def test_a_mail_with_a_logo_is_accessible_even_when_it_is_blocked(page, with_logo):
    for _, email in with_logo:
        assert violations(page, email.html) == {}


def test_dark_and_light_mode_have_their_colors(page, gallery):
    page.set_content(gallery.mail("sign-in-code").email.html)
    ground = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert ground == ("rgb(26, 29, 35)" if is_dark else "rgb(255, 255, 255)")


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_overflows_a_small_screen(page, gallery, locale):
    page.set_viewport_size({"width": 320, "height": 800})
    for kind in KINDS:
        page.set_content(gallery.mail(kind, locale, "acme", "both").email.html)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind


@pytest.mark.parametrize(("locale", "paragraph"), [("ur", 32), ("ar", 24), ("bn", 24)])
def test_the_lines_of_urdu_are_as_far_apart_as_nastaliq_needs(page, gallery, locale, paragraph):
    page.set_content(gallery.mail("sign-in-code", locale).email.html)
    heights = [
        page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).lineHeight")
        for selector in (".card p", ".code")
    ]
    assert heights == [f"{paragraph}px", "40px"]


def test_assistive_technology_gets_the_code_as_text(page, gallery):
    page.set_content(gallery.mail("sign-in-code").email.html)
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    assert not [node for node in nodes if node.get("role", {}).get("value") in ("img", "image")]
    texts = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "StaticText"]
    assert "048291" in "".join(texts)
    assert page.locator(".code").inner_text() == "048291"


@pytest.mark.parametrize("size", [(1600, 80), (160, 160), (240, 72), (40, 16)], ids=str)
def test_a_logo_keeps_its_proportions_and_fits(page, with_logo, size):
    width, height = size
    page.set_viewport_size({"width": 360, "height": 800})
    svg = f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'/>"
    for _, email in with_logo:
        page.set_content(re.sub(r'src="[^"]+"', f'src="{svg}"', email.html), wait_until="load")
        boxes = page.evaluate(
            "[...document.images].filter((image) => image.offsetWidth)"
            ".map((image) => [image.offsetWidth - 16, image.offsetHeight - 8])"
        )
        assert boxes and all(abs(shown / tall - width / height) < 0.1 * width / height for shown, tall in boxes)
        assert all(tall <= 36 for _, tall in boxes)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_double_click_selects_the_whole_code(page, gallery):
    page.set_content(gallery.mail("sign-in-code").email.html)
    page.dblclick(".code")
    assert page.evaluate("getSelection().toString()").strip() == "048291"
