"""A real browser for every test that wants one, started once: two at a time cannot be driven from one process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from mailroom_ops.templates import chromium

__all__ = ["assert_accessible", "browser", "violations"]

AXE = Path(__file__).parent / "mail" / "node_modules" / "axe-core" / "axe.min.js"
SEEN: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1280, "light"), (360, "dark"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not chromium.find_browser():
        pytest.skip("needs a browser: apt-get install chromium-headless-shell")
    with chromium.launch() as started:
        yield started


def violations(page: Page, options: str = "") -> dict[str, Any]:
    """Return what axe-core finds wrong with a page, by rule."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: `npm ci` in tests/mail (`make test` does)")
    page.add_script_tag(path=AXE)
    result = page.evaluate(f"axe.run(document, {{{options}}})")
    assert len(result["passes"]) > 10  # rules that apply to the page
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in result["violations"]}


def assert_accessible(page: Page) -> None:
    """Assert that axe-core reports nothing and that a page fits its window: on a desk in light, on a phone in dark."""
    for width, scheme in SEEN:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        assert violations(page) == {}, page.url
