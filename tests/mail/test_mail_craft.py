"""What can be told from a mail's source: it is valid, small, readable aloud, and nothing in it reaches out."""

import json
import re
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from shutil import which
from typing import Any

import html5lib
import pytest

from mailroom.brand import Brand, contrast
from mailroom_ops.preview import SENDER, sample
from tests.mail.conftest import Sample

HERE = Path(__file__).parent
ADDRESS = re.compile(r"""(?:src|href|background|action)\s*=\s*["']([^"']*)|url\(([^)]*)""", re.IGNORECASE)

# What one of the three does not do at all, and what its reader gets instead.
FALLBACKS = {
    "@media": "Outlook for Windows and Gmail's oldest page stay light and wide; the layout is fluid without it",
    "Attribute selector": "they address outlook.com alone, [data-ogsc]",
    "Class selector": "only used by the dark and narrow rules",
    "Descendant combinator": "only used by the dark rules for outlook.com",
    "<style> element": "every rule a mail cannot do without is inline",
    "<body> element": "the same background stands on the div inside it",
    "border-radius": "corners are square in Outlook for Windows",
    "color-scheme CSS property": "clients that do not know it darken a mail as they please",
    "color-scheme meta tag": "clients that do not know it darken a mail as they please",
    "display:none": "the preheader is the first line of the text in Gmail's oldest page",
    "aria-label attribute": "Windows Mail reads a code as a number",
    "role attribute": "Windows Mail reads tables as tables",
    "word-break": "Windows Mail lets a long address run wide",
}
# What they do in part: we use the part they do, or lose nothing but a little looks.
IN_PART = {
    "!important keyword", "<body> element", "<style> element", "@media", "Attribute selector", "Class selector",
    "Descendant combinator", "align attribute", "background", "border", "color-scheme CSS property", "dir attribute",
    "display", "display:none", "font-size", "font-weight", "letter-spacing", "line-height", "margin", "max-width",
    "padding", "text-align", "text-decoration", "width attribute", "word-break",
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(every_shape: list[Sample]) -> dict[str, Any]:
    if which("node") is None or not (HERE / "node_modules").is_dir():
        pytest.skip("needs node and its packages: install node, then `npm ci` in tests/mail (`make test` does)")
    mails = json.dumps([{"name": name, "html": email.html} for name, email in every_shape])
    done = subprocess.run(
        ["node", "judge.mjs"], cwd=HERE, input=mails, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_mail_is_valid_html(verdicts):
    assert {name: verdict["invalid"] for name, verdict in verdicts.items() if verdict["invalid"]} == {}


def test_every_mail_parses_without_an_error(every_mail, every_shape):
    for name, email in every_mail + every_shape:
        parser = html5lib.HTMLParser()
        parser.parse(email.html)
        assert parser.errors == [], name


@pytest.mark.parametrize(("manner", "known"), [("unsupported", set(FALLBACKS)), ("partial", IN_PART)])
def test_nothing_is_used_that_gmail_outlook_or_apple_mail_cannot_do_without_a_fallback(verdicts, manner, known):
    used: dict[str, set[str]] = defaultdict(set)
    for verdict in verdicts.values():
        for feature, clients in verdict[manner].items():
            used[feature] |= set(clients)
    assert {feature: sorted(clients) for feature, clients in used.items() if feature not in known} == {}
    assert known - set(used) == set(), "no longer used: take it off the list"


def test_every_mail_is_below_thirty_kilobytes(every_mail, every_shape):
    assert max(len(email.html.encode()) for _, email in every_mail + every_shape) < 15_000


def test_every_mail_names_its_language_and_direction(every_mail):
    for name, email in every_mail:
        direction = "rtl" if email.locale in ("ar", "fa-IR", "he") else "ltr"
        # Twice: Gmail takes away the html element and what it says.
        assert email.html.count(f'lang="{email.locale}" dir="{direction}"') == 2, name


def test_a_mail_fetches_nothing_and_tracks_nobody(every_mail, every_shape):
    for name, email in every_mail + every_shape:
        addresses = {one or other for one, other in ADDRESS.findall(email.html)}
        own = ("https://app.example.com/", "https://example.com/help", "mailto:help@example.com")
        assert {address for address in addresses if not address.startswith(own)} == set(), name
        assert "<script" not in email.html
        assert "<img" not in email.html


def test_a_logo_has_the_brands_name_for_who_does_not_see_it(gallery):
    look = {"name": "Acme", "logo_url": "https://example.com/l.png", "dark_logo_url": "https://example.com/d.png"}
    html = gallery.renderer.render(sample("sign-in-code"), SENDER, look).html
    images = re.findall(r"<img[^>]+>", html)
    assert [re.findall(r'src="([^"]+)"', image)[0] for image in images] == [look["logo_url"], look["dark_logo_url"]]
    for image in images:
        assert 'alt="Acme"' in image
        assert 'height="36"' in image


def test_the_text_part_says_all_the_html_says(every_shape):
    for name, email in every_shape:
        text = " ".join(email.text.split())
        for said in re.findall(r"<(?:p|h1|th|td)[^>]*>([^<>]+)</(?:p|h1|th|td)>", email.html):
            said = said.replace("&amp;", "&").replace("&#x27;", "'").replace("&quot;", '"').strip()
            assert said in text or said == email.from_.name, name


def test_every_colour_that_carries_text_can_be_read(gallery):
    pairs = [
        ("text", "card"),
        ("muted", "card"),
        ("link", "card"),
        ("text", "box"),
        ("muted", "page"),
        ("text", "page"),
    ]
    pairs += [("page_link", "page"), ("button_text", "button")]
    defaults = tomllib.loads((gallery.templates / "brand.toml").read_text("utf-8"))
    for color in ("#000000", "#ffffff", "#777777", "#ffd60a", "#00ff00", "#0000ff", "#ff0000", "nonsense", "#abc", ""):
        brand = Brand.of({"color": color}, {}, defaults, "Acme")
        for palette in (brand.light, brand.dark):
            for ink, ground in pairs:
                assert contrast(getattr(palette, ink), getattr(palette, ground)) >= 4.5, (color, ink, ground)
            assert contrast(palette.button_edge, palette.card) >= 3
