"""Whatever a tenant's folder contains, the code goes out: a broken file is reported, and the built-in mail is sent."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering import template_policy
from mailroom.rendering.renderer import Renderer
from mailroom.rendering.template_policy import RenderingError
from mailroom.rendering.tenant_templates import TenantTemplates
from mailroom.rendering.texts import Texts
from tests.factories import message
from tests.thorough import times

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
CODE = "048291"
DATA = {"code": CODE, "link": "https://example.com/a?b=c", "application": {"name": "Acme"}, "title": "Hello"}
LANGUAGES = ("en", "de", "ar", "fa-IR", "ca")

BROKEN_TEXTS = {
    "a payload path without a name": '[sign-in-code]\nsubject = "Code {payload.}"',
    "a placeholder written with escapes": '[sign-in-code]\nsubject = "Code {pay\\u006coad.code}"',
    "a payload path in a plural form": '[common.valid_minutes]\nother = "{payload.code}"',
    "too few digits": '[about]\ndigits = "01"',
    "a direction of another type": "[about.direction]\nx = 'rtl'",
    "arrays nested too deeply": "a = " + "[" * 100_000,
}

fragments = st.one_of(
    st.sampled_from(
        [
            *("{app}", "{payload.code}", "{payload.}", "{payload..}", "{n}", "{", "}", "{about.digits}", "\\u007b"),
            *("{{ code.text }}", "{{ payload['code'] }}", "{{ payload['x y'] }}", "{{ payload.a.b }}", "{{ nothing }}"),
            *("{{ brand.light['page'] }}", "{{ facts[0][0] }}", "{{ subject|first|length }}", "{% if code %}"),
            *("{% endif %}", "{% else %}", "{% for fact in facts %}", "{% for line in footer %}", "{% endfor %}"),
            *('{% extends "layout.html" %}', '{% include "parts/code.html" %}', "{% block body %}", "{% endblock %}"),
            *(
                "{{ super() }}",
                "{#",
                "#}",
                "{{ facts > 3 }}",
                "{{ not code }}",
                "{{ code.text.x.y }}",
                "\ud83d",
                "\x00",
            ),
        ]
    ),
    st.text(max_size=8),
)
sentences = st.lists(fragments, max_size=5).map("".join)
names = st.sampled_from(
    [
        *("layout.html", "layout.txt", "parts/code.html", "parts/button.txt", "emails/sign-in-code.html"),
        *("emails/sign-in-code.txt", "emails/sign-in-code.de.html", "emails/own.html", "emails/generic-code.txt"),
    ]
)
tables = st.sampled_from(["about", "common", "sign-in-code", "generic-code", "own", "common.valid_minutes", "a.b"])
keys = st.sampled_from(
    ["subject", "heading", "text", "direction", "digits", "code", "other", "one", "valid_hours", "x"]
)
values = st.one_of(sentences.map(lambda text: '"' + text.replace('"', "'") + '"'), st.sampled_from(["1", "[]", "{}"]))
lines = st.one_of(
    tables.map(lambda table: f"[{table}]"), st.tuples(keys, values).map(" = ".join), st.sampled_from(["=", "", "[x"])
)
texts = st.lists(lines, max_size=6).map("\n".join)
text_names = st.sampled_from(["texts.toml", "locales/de.toml", "locales/ca.toml", "locales/fa-IR.toml"])
folders = st.builds(
    lambda templates, sentences: {**templates, **sentences},
    st.dictionaries(names, sentences, max_size=3),
    st.dictionaries(text_names, texts, max_size=3),
)


def assert_code_is_sent(files: Mapping[str, str], kind: str = "sign-in-code", language: str = "en") -> None:
    rendered = RENDERER.compose(message(kind=kind, data=DATA, locales=(language,)), SENDER, {}, files)
    assert CODE in re.sub(r"<[^<>]*>", "", rendered.email.html) and CODE in rendered.email.text
    rendered.email.subject.encode()


@pytest.mark.parametrize("fault", BROKEN_TEXTS)
def test_broken_texts_are_reported_and_the_built_in_texts_are_sent(fault: str) -> None:
    mail = message(kind="sign-in-code", data=DATA)
    rendered = RENDERER.compose(mail, SENDER, {}, {"texts.toml": BROKEN_TEXTS[fault]})
    assert rendered.problems or fault == "a placeholder written with escapes"
    assert CODE not in str(rendered.problems)
    assert CODE in re.sub(r"<[^<>]*>", "", rendered.email.html) and CODE in rendered.email.text


def test_a_part_cannot_call_super() -> None:
    files = {"parts/code.html": "{{ code.text }}{{ super() }}"}
    rendered = RENDERER.compose(message(kind="sign-in-code", data=DATA), SENDER, {}, files)
    assert rendered.problems[0].startswith("parts/code.html: line 1: ")


def test_a_panic_of_the_template_engine_is_a_rendering_error() -> None:
    sources = {
        "layout.html": "{% block body %}{% endblock %}",
        "mail.html": '{% extends "layout.html" %}{% block body %}{% include "part.html" %}{% endblock %}',
        "part.html": "{{ super() }}",
    }
    with pytest.raises(RenderingError, match=r"mail\.html"):
        template_policy.render(template_policy.environment(sources.get), "mail.html", {})


def test_texts_that_pass_the_checks_and_still_fail_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: TenantTemplates, texts: Texts) -> Texts:
        return Texts(texts.locale, {}) if self.texts else texts

    monkeypatch.setattr(TenantTemplates, "merge_into", fail)
    files = {"texts.toml": '[sign-in-code]\nsubject = "Hello"'}
    rendered = RENDERER.compose(message(kind="sign-in-code", data=DATA), SENDER, {}, files)
    assert rendered.problems == ("own texts: KeyError; the built-in texts and templates were used",)
    assert rendered.email.subject == "Your Acme sign-in code"


@settings(max_examples=times(300, 5_000), deadline=None)
@given(folders, st.sampled_from(["sign-in-code", "own", "common", "about"]), st.sampled_from(LANGUAGES))
def test_a_code_is_sent_whatever_the_tenants_files_contain(files: dict[str, str], kind: str, language: str) -> None:
    assert_code_is_sent(files, kind, language)
