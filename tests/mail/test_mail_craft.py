"""The source of each mail: valid, small, accessible to screen readers, and without requests to anybody."""

import re
import tomllib
from collections import defaultdict

import html5lib
import pytest

from mailroom.rendering.brand import Brand, contrast
from mailroom_ops.templates.checks import FALLBACKS, HtmlReport, check_html, missing_html_tools
from tests.mail.samples import Sample

ADDRESS = re.compile(r"""(?:src|href|background|action)\s*=\s*["']([^"']*)|url\(([^)]*)""", re.IGNORECASE)

# What they do in part: we use the part they do, or lose nothing but a little looks.
IN_PART = {
    "!important keyword", "<body> element", "<img> element", "<style> element", "@media", "align attribute",
    "Attribute selector", "background", "background-color", "background-image", "border", "border-collapse",
    "border-radius", "cellpadding attribute", "cellspacing attribute", "Class selector",
    "color-scheme CSS property", "color-scheme meta tag", "Descendant combinator", "dir attribute", "display",
    "display:none", "font-size", "font-weight", "height attribute", "height property", "HTML comments",
    "lang attribute", "letter-spacing", "line-height", "mailto: links", "margin", "max-width", "padding",
    "role attribute", "text-align", "text-decoration", "white-space", "width attribute", "width property",
    "word-break",
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(every_shape: list[Sample], with_logo: list[Sample]) -> dict[str, HtmlReport]:
    if missing := missing_html_tools():
        pytest.skip(missing)
    return check_html(dict(every_shape + with_logo))


@pytest.mark.thorough
def test_every_mail_is_valid_html(verdicts):
    assert {name: verdict.invalid for name, verdict in verdicts.items() if verdict.invalid} == {}


@pytest.mark.thorough
def test_every_mail_parses_without_an_error(every_mail, every_shape):
    for name, email in every_mail + every_shape:
        parser = html5lib.HTMLParser()
        parser.parse(email.html)
        assert parser.errors == [], name


@pytest.mark.thorough
@pytest.mark.parametrize(("manner", "known"), [("unsupported", set(FALLBACKS)), ("partial", IN_PART)])
def test_mail_clients_support_all_features_or_have_a_fallback(verdicts, manner, known):
    used: dict[str, set[str]] = defaultdict(set)
    for verdict in verdicts.values():
        for feature, clients in getattr(verdict, manner).items():
            used[feature] |= set(clients)
    assert {feature: sorted(clients) for feature, clients in used.items() if feature not in known} == {}
    assert known - set(used) == set(), "no longer used: take it off the list"


def test_every_mail_is_below_thirty_kilobytes(every_mail, every_shape):
    assert max(len(email.html.encode()) for _, email in every_mail + every_shape) < 15_000


def test_every_mail_names_its_language_and_direction(every_mail):
    for name, email in every_mail:
        direction = "rtl" if email.locale in ("ar", "fa-IR", "he", "ur") else "ltr"
        # Twice: Gmail takes away the html element and its attributes.
        assert email.html.count(f'lang="{email.locale}" dir="{direction}"') == 2, name


def test_a_mail_fetches_nothing_and_tracks_nobody(every_mail, every_shape):
    for name, email in every_mail + every_shape:
        addresses = {one or other for one, other in ADDRESS.findall(email.html)}
        own = ("https://app.example.com/", "https://example.com/help", "mailto:support@example.com")
        assert {address for address in addresses if not address.startswith(own)} == set(), name
        assert "<script" not in email.html
        assert "<img" not in email.html


def test_a_logo_has_the_brands_name_as_alternative_text(with_logo):
    addresses = {"logo.day": ["https://example.com/day.png"]}
    addresses["logo.both"] = [*addresses["logo.day"], "https://example.com/night.png"]
    addresses["logo.inline"] = [f"cid:{image.cid}" for image in dict(with_logo)["logo.inline"].images]
    for name, email in with_logo:
        images = re.findall(r"<img[^>]+>", email.html)
        assert [re.findall(r'src="([^"]+)"', image)[0] for image in images] == addresses[name]
        for image in images:
            assert 'alt="Acme"' in image
            assert 'height="36"' in image


def test_the_text_part_has_all_the_content_of_the_html(every_shape):
    for name, email in every_shape:
        text = " ".join(email.text.split())
        for content in re.findall(r"<(?:p|h1|th|td)[^>]*>([^<>]+)</(?:p|h1|th|td)>", email.html):
            content = content.replace("&amp;", "&").replace("&#x27;", "'").replace("&quot;", '"').strip()
            assert content in text or content == email.from_.name, name


def test_every_text_color_has_enough_contrast(gallery):
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
