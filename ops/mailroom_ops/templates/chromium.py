"""The browser that looks at mails and pages: which one, and started how."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["program", "running"]

# The first is the same engine without a window, and opens a page for a third of the work (measured 2026-11-21).
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--in-process-gpu"),  # the last one makes a page a third cheaper
]


def program() -> str | None:
    """Return the path of the browser that CHROMIUM names, or else of the first that is installed."""
    named = os.environ.get("CHROMIUM")
    return which(named) if named else next((found for name in NAMES if (found := which(name))), None)


@contextmanager
def running() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()
