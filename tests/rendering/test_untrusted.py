"""What a stranger put into a name, a link, a locale cannot become markup, a header, a link or a template."""

import json
import re
import unicodedata
from email import message_from_bytes
from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom import untrusted
from mailroom.model.email import Email
from mailroom.model.kinds import KINDS
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.providers._mime import compose
from mailroom.rendering.renderer import Renderer

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
NAMELESS = Sender(Mailbox("no-reply@example.com"))
LINKABLE = re.compile(r"(?i)\w[.。．｡][^\W\d_]{2,}|[a-z]+://|\bjavascript:")
OWN_DOMAIN = re.compile(r"(?<![\w.\u200b-])example\.com")
OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u200e\u200f\u061c"
HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "an attribute": '" onmouseover="alert(1)" x=\'',
    "a comment": "--><!--[if mso]><b>",
    "an end": "</p></td></table></body></html><h1>New</h1>",
    "a style": "</style><style>*{display:none}",
    "an entity": "&lt;b&gt; &#x3c;b&#x3e; &amp;lt;",
    "a template": "{{ 7 * 777 }}{% include 'layout.html' %}{# #}${7*777}{app}{payload.code}",
    "a header": "Acme\r\nBcc: victim@example.com\r\n\r\n<b>body</b>",
    "other line ends": "Acme\x0bBcc: x\x0cBcc: y\x85Bcc: z\u2028Bcc: a\u2029Bcc: b",
    "controls": "Ac\x00me\x1b[31m\x7f\x9b\ufeff\u00ad",
    "bidi overrides": "Acme \u202emoc.elpmaxe\u202c \u2066x\u2067y",
    "an unclosed override": "\u202e\u202e\u202e\u2067",
    "an address": "ceo@bank.example.com <ceo@bank.example.com>",
    "a web address": "Verify at https://evil.example.com/login or www.evil.example.com",
    "a bare domain": "You won! evil-site.com evil。com evil．com 中国.中国",
    "homographs": "аpple.com раypal.com",
    "a scheme": "javascript:alert(1) data:text/html,x",
    "ten kilobytes": "A" * 10_000,
    "a long word in other letters": "ﷺ" * 5_000,
    "stacked marks": "Z" + "\u0335\u0336\u0337" * 300 + "algo",
    "half a character": "\ud83d\udca9\ud83d",
    "an encoded word": "=?utf-8?q?Bcc:_x?= =?utf-8?b?PGI+?=",
    "nothing to see": "\u200b\u200c\u200d\u2060",
}


def message(kind: str, data: dict[str, Any], locale: Any = "en", brand: dict[str, str] | None = None) -> Message:
    return Message("01", "default", kind, "r@example.com", data, 0.0, 600.0, "logto", (locale,), brand or {})


def filled(value: str) -> dict[str, Any]:
    """One value in every field a stranger may reach."""
    party = {"name": value, "displayName": value, "username": value, "primaryEmail": value}
    return {
        "code": "048291",
        "application": party,
        "organization": party,
        "inviter": party,
        "user": party,
        "locale": value,
        "uiLocales": value,
        value[:50]: value,
    }


def said_by_caller(value: str) -> dict[str, Any]:
    """One value in every field a caller of our own may fill."""
    button = {"text": value, "url": "https://example.com/"}
    return {"title": value, "paragraphs": [value, value], "button": button, "facts": [[value, value]], "link": value}


def skeleton(email: Email) -> list[Any]:
    """The elements and attributes of a mail, without what they say."""
    tree = html5lib.parse(email.html, namespaceHTMLElements=False)
    return [(str(element.tag), sorted(element.keys())) for element in tree.iter()]


def shown(email: Email) -> str:
    """What a reader sees, other than our own link."""
    tree = html5lib.parse(email.html, namespaceHTMLElements=False)
    return " ".join(tree[1].itertext())


@pytest.mark.parametrize("locale", ["en", "ar"])
@pytest.mark.parametrize("kind", ["sign-in-code", "organization-invitation", "notification"])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_name_stays_a_name(what, kind, locale):
    value = HOSTILE[what]
    harmless = RENDERER.render(message(kind, filled("Acme"), locale, {"name": "Acme"}), NAMELESS, {})
    email = RENDERER.render(message(kind, filled(value), locale, {"name": value}), NAMELESS, {})
    assert skeleton(email) == skeleton(harmless)
    assert "048291" in email.text
    assert "5439" not in email.html + email.text + email.subject
    everything = email.subject + email.from_.name + email.text + shown(email)
    assert not set(OVERRIDES) & set(everything)
    assert everything.count("\u2068") == everything.count("\u2069")
    said = " ".join((email.subject, shown(email), email.text))
    assert not LINKABLE.search(OWN_DOMAIN.sub("", said))
    assert len(email.subject) < 250
    assert len(email.html) < 15_000


@pytest.mark.parametrize("what", HOSTILE)
def test_a_name_adds_no_header(what):
    value = HOSTILE[what]
    for kind in ("sign-in-code", "organization-invitation"):
        email = RENDERER.render(message(kind, filled(value), brand={"name": value}), NAMELESS, {"support_email": value})
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in email.subject)
        parsed = message_from_bytes(compose(email, "01", {}))
        assert parsed["Bcc"] is None
        assert len(parsed.get_all("Subject", [])) == len(parsed.get_all("From", [])) == 1
        assert "@" not in email.from_.name


@pytest.mark.parametrize("what", HOSTILE)
def test_a_callers_words_stay_words(what):
    harmless, email = (
        RENDERER.render(message("notification", said_by_caller(value)), NAMELESS, {}) for value in ("x", HOSTILE[what])
    )
    if untrusted.line(HOSTILE[what]):
        assert skeleton(email) == skeleton(harmless)
    assert "5439" not in email.html + email.text
    assert not set(OVERRIDES) & set(email.text + email.html)
    assert len(email.html) < 40_000


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example.com",
        "/login",
        "https:",
        "https://",
        "http:///x",
        "https://user:pass@example.com",
        "https://bank.com@evil.example.com/",
        "https://example.com/\r\nBcc: x",
        "https://example.com/ x",
        'https://example.com/"><b>',
        "https://example.com/<script>",
        "https://example.com/\u202e",
        "https://exa\u200bmple.com",
        "https://[::1",
        "https://example.com:0/",
        "https://example.com:99999/",
        "x" * 5000,
        "https://example.com/" + "x" * 5000,
        "",
        " ",
        None,
        7,
        ["https://example.com"],
        {"url": "x"},
    ],
    ids=repr,
)
def test_only_a_web_address_becomes_a_link(link):
    for kind in KINDS:
        email = RENDERER.render(message(kind, {"link": link, "button": {"url": link, "text": "x"}}), NAMELESS, {})
        assert "href" not in email.html, kind


@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("https://example.com/a?b=c&d=%2F#e", "https://example.com/a?b=c&d=%2F#e"),
        ("http://localhost:3000/x", "http://localhost:3000/x"),
        ("https://example.com/ä?ö=ü", "https://example.com/%C3%A4?%C3%B6=%C3%BC"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://аpple.example/", "https://xn--pple-43d.example/"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_a_link_is_sent_as_it_came_and_shows_what_it_is(link, sent):
    email = RENDERER.render(message("password-reset", {"link": link}), NAMELESS, {})
    assert sent in email.text
    assert email.html.count(sent.replace("&", "&amp;")) == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/l.png",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/>",
        "//example.com/l.png",
        'https://example.com/"onerror="x',
        "",
        None,
        7,
    ],
)
def test_only_an_encrypted_logo_is_shown(url):
    for hints, own in (({"name": "Acme", "logo_url": url, "dark_logo_url": url}, {}), ({}, {"logo_url": url})):
        assert "<img" not in RENDERER.render(message("sign-in-code", {"code": "1"}, brand=hints), NAMELESS, own).html


@pytest.mark.parametrize("locale", [*HOSTILE.values(), "../../en", "en/../de", "con", "en.toml", "de\x00"])
def test_a_language_nobody_has_is_english(locale):
    assert RENDERER.render(message("sign-in-code", {"code": "1"}, locale), NAMELESS, {}).locale == "en"


def test_a_name_with_a_dot_looks_as_it_did():
    assert untrusted.name("Acme.io").replace("\u200b", "") == "Acme.io"
    assert untrusted.name("Dr. Who, Inc. 2.0") == "Dr. Who, Inc. 2.0"
    assert untrusted.name("می‌خواهم 👩‍👩‍👧 Ümläut") == "می‌خواهم 👩‍👩‍👧 Ümläut"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "application",
    "organization",
    "inviter",
    "user",
    "title",
    "paragraphs",
    "button",
    "facts",
    "link",
    "subject",
    "name",
]


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*KINDS, "own"]),
    locale=st.sampled_from(["en", "ar", "fa-IR", "zh-TW", "xx"]),
    data=st.dictionaries(st.sampled_from(KEYS), anything, max_size=6),
    brand=st.dictionaries(
        st.sampled_from(["name", "logo_url", "color", "company", "support_email", "support_url"]), st.text()
    ),
)
def test_whatever_comes_with_it_a_code_goes_out_in_sound_html(kind, locale, data, brand):
    email = RENDERER.render(message(kind, {**data, "code": "048291"}, locale, brand), NAMELESS, brand)
    assert "048291" in email.text and "048291" in email.html
    parser = html5lib.HTMLParser()
    parser.parse(email.html)
    assert parser.errors == []
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in email.subject + email.from_.name)
    json.dumps(email.to_dict()).encode()
    compose(email, "01", {})
