"""A stranger's text in any field cannot become markup, a header, a link or a template."""

import json
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
from mailroom.model.json_fields import fields_of
from mailroom.model.kinds import KINDS
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.providers._mime import compose
from mailroom.rendering.renderer import Renderer
from tests.factories import message
from tests.rendering.linkifiers import links_in_mail

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
NAMELESS = Sender(Mailbox("no-reply@example.com"))
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


def filled(value: str) -> dict[str, Any]:
    """Return data with one value in every field that a stranger may reach."""
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


def caller_data(value: str) -> dict[str, Any]:
    """Return data with one value in every field that only a caller may fill."""
    button = {"text": value, "url": "https://example.com/"}
    return {"title": value, "paragraphs": [value, value], "button": button, "facts": [[value, value]], "link": value}


def skeleton(email: Email) -> list[Any]:
    """Return the elements of a mail and the names of their attributes, without the line breaks of a caller's text."""
    tree = html5lib.parse(email.html, namespaceHTMLElements=False)
    return [(str(element.tag), sorted(element.keys())) for element in tree.iter() if element.tag != "br"]


def shown(email: Email) -> str:
    """Return the text that a reader sees."""
    tree = html5lib.parse(email.html, namespaceHTMLElements=False)
    return " ".join(tree[1].itertext())


@pytest.mark.parametrize("locale", ["en", "ar"])
@pytest.mark.parametrize("kind", ["sign-in-code", "organization-invitation", "notification"])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_name_stays_a_name(value, kind, locale):
    harmless = RENDERER.render(
        message(kind=kind, data=filled("Acme"), locales=(locale,), brand={"name": "Acme"}), NAMELESS, {}
    )
    email = RENDERER.render(
        message(kind=kind, data=filled(value), locales=(locale,), brand={"name": value}), NAMELESS, {}
    )
    assert skeleton(email) == skeleton(harmless)
    assert "048291" in email.text
    assert "5439" not in email.html + email.text + email.subject
    visible = email.subject + email.from_.name + email.text + shown(email)
    assert not set(OVERRIDES) & set(visible)
    assert visible.count("\u2068") == visible.count("\u2069")
    assert {link.partition(": ")[2] for link in links_in_mail(email)} <= {"example.com"}  # the sender's domain
    assert len(email.subject) < 250
    assert len(email.html) < 15_000


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_name_adds_no_header(value):
    for kind in ("sign-in-code", "organization-invitation"):
        email = RENDERER.render(
            message(kind=kind, data=filled(value), brand={"name": value}), NAMELESS, {"support_email": value}
        )
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in email.subject)
        parsed = message_from_bytes(compose(email, "01", {}))
        assert parsed["Bcc"] is None
        assert len(parsed.get_all("Subject", [])) == len(parsed.get_all("From", [])) == 1
        assert "@" not in email.from_.name


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_callers_text_stays_text(value):
    harmless, email = (RENDERER.render(message(data=caller_data(text)), NAMELESS, {}) for text in ("x", value))
    if untrusted.line(value):
        assert skeleton(email) == skeleton(harmless)
    assert "5439" not in email.html + email.text
    assert not set(OVERRIDES) & set(email.text + email.html)
    assert len(email.html) < 40_000


@pytest.mark.parametrize("locale", [*HOSTILE.values(), "../../en", "en/../de", "con", "en.toml", "de\x00"])
def test_an_unknown_language_falls_back_to_english(locale):
    assert (
        RENDERER.render(message(kind="sign-in-code", data={"code": "1"}, locales=(locale,)), NAMELESS, {}).locale
        == "en"
    )


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


@pytest.mark.thorough
@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*KINDS, "own"]),
    locale=st.sampled_from(["en", "ar", "fa-IR", "zh-TW", "xx"]),
    data=st.dictionaries(st.sampled_from(KEYS), anything, max_size=6),
    brand=st.dictionaries(
        st.sampled_from(["name", "logo_url", "color", "company", "support_email", "support_url"]), st.text()
    ),
)
def test_a_code_goes_out_in_sound_html_whatever_comes_with_it(kind, locale, data, brand):
    email = RENDERER.render(
        message(kind=kind, data={**data, "code": "048291"}, locales=(locale,), brand=brand), NAMELESS, brand
    )
    assert "048291" in email.text and "048291" in email.html
    parser = html5lib.HTMLParser()
    parser.parse(email.html)
    assert parser.errors == []
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in email.subject + email.from_.name)
    json.dumps(email, default=fields_of).encode()
    compose(email, "01", {})
