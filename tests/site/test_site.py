"""The website of the documentation: it is built, its links are checked, and a browser can use it."""

import functools
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".cache/docs/bin/python"
GENERATOR = PYTHON.with_name("zensical")
PAGES = ("", "docs/", "docs/cli/", "docs/troubleshooting/", "docs/sources/supabase/", "docs/deploy/", "CHANGELOG/")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files silently."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def built() -> Path:
    """Build the site as `make docs` does."""
    if not GENERATOR.exists():
        pytest.skip("needs the generator: make docs")
    done = subprocess.run([PYTHON, "docs/site/build.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "dist/docs"


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of a browser that may load nothing from other hosts, and logs no error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = context.new_page()
    requests: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield opened
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
    assert errors == []
    context.close()


def test_every_page_of_the_docs_is_on_the_site(built: Path) -> None:
    sources = [path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")]
    places = [path.parent if path.name == "README.md" else path.with_suffix("") for path in sources]
    assert [str(place) for place in places if not (built / place / "index.html").is_file()] == []


def test_a_link_shows_the_title_of_its_page(page: Page, address: str) -> None:
    page.goto(address + "docs/quickstart-operator/")
    expect(page.get_by_role("link", name="Cost", exact=True).last).to_be_visible()
    assert page.locator("article a", has_text=".md").count() == 0


def test_a_broken_anchor_fails_the_build(built: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".cache/site", tmp_path / "site", ignore=shutil.ignore_patterns(".cache"))
    with (tmp_path / "site/pages/docs/limits.md").open("a") as page:
        page.write("\n[gone](cost.md#no-such-heading)\n")
    done = subprocess.run(
        [GENERATOR, "build", "--strict"], cwd=tmp_path / "site", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "anchor does not exist" in done.stdout + done.stderr


def test_the_search_finds_a_reason(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".md-search__button").click()
    page.get_by_role("combobox", name="Search").fill("holding_back")
    page.get_by_role("dialog").locator("a", has_text="Troubleshooting").first.click()
    expect(page).to_have_url(re.compile("docs/troubleshooting/"))
    expect(page.get_by_role("heading", name="Reasons")).to_be_visible()


def test_the_colors_follow_the_system_and_the_button(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(address)
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.locator("label[title='Light mode']:visible").click()
    expect(body).to_have_attribute("data-md-color-scheme", "default")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_telephone(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address + path)
    expect(page.locator("h1").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
