"""Logto's templates, imported as those of a tenant, render the same values, escaped."""

from pathlib import Path
from typing import Any

import pytest

from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Rendered, Renderer
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.imported import Imported, write
from mailroom_ops.templates.logto_import import convert as read

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
PAGE = """<!doctype html><html><head><style>
p { color: {{color}}; } .a{} {%raw%} {# note #} @media (x) { .b { c: d } }
</style></head><body><p>Hi {{ user.name }}, {{application.name}} says {{{code}}} [{{ code }}].</p>
<a href="{{link}}">{{organization}} {{list}} {{list.0}} {{application.nothing}} {{a-b}} {{#if x}}{{/if}}</a>
</body></html>"""


def api(*templates: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "templates": [
            {"languageTag": tag, "templateType": kind, "details": details} for kind, tag, details in templates
        ]
    }


def render(imported: Imported, kind: str, locale: str, **data: Any) -> Rendered:
    message = Message("01", "acme", kind, "r@example.com", data, 0.0, 600.0, "logto", (locale,))
    return RENDERER.compose(message, SENDER, {}, imported.files)


def test_variables_have_the_values_of_logto_and_are_escaped():
    imported = read(api(("SignIn", "de", {"subject": "{{code}} für {{application.name}} {x}", "content": PAGE})))
    application = {"name": "<b>&\"A'", "id": "1"}
    rendered = render(
        imported, "sign-in-code", "de", code="048291", application=application, organization={}, list=[1, "2"]
    )
    assert rendered.problems == ()
    assert rendered.email.subject.replace("\u2060", "") == "048291 für <b>&\"A' {x}"
    html = rendered.email.html
    assert "&lt;b&gt;&amp;&quot;A&#x27; says {048291} [048291]." in html
    assert '<a href="">[object Object] 1,2 1  {{a-b}} {{#if x}}{{/if}}</a>' in html
    assert "p { color: ; } .a{} {%raw%} {# note #} @media (x) { .b { c: d } }" in html
    assert "Hi , " in html
    assert "048291" in rendered.email.text


def test_every_unresolved_variable_is_reported():
    notes = read(api(("SignIn", "de", {"subject": "x", "content": PAGE}))).notes
    unresolved = [note for note in notes if "unresolved" in note]
    assert [note.split("}}")[0] for note in unresolved] == [
        "SignIn (de): {{color",
        "SignIn (de): {{user.name",
        "SignIn (de): {{link",
        "SignIn (de): {{list",
        "SignIn (de): {{list.0",
    ]
    assert "SignIn (de): {{application.name}} is not always sent, and empty then" in notes


def test_other_languages_keep_the_built_in_template():
    imported = read(
        api(
            ("SignIn", "de", {"subject": "Anmelden", "content": "<p>Ihr Code: {{code}}</p>"}),
            ("SignIn", "ca", {"subject": "Entra", "content": "<p>El teu codi: {{code}}</p>"}),
            ("Register", "de", {"subject": "Neu hier", "content": "<p>Neu: {{code}}</p>"}),
        )
    )
    assert set(imported.files) == {
        "emails/sign-in-code.de.html",
        "emails/sign-in-code.ca.html",
        "emails/sign-up-code.de.html",
        "locales/de.toml",
        "locales/ca.toml",
    }
    assert render(imported, "sign-in-code", "de-AT", code="1234").email.html == "<p>Ihr Code: 1234</p>\n"
    catalan = render(imported, "sign-in-code", "ca-ES", code="1234").email
    assert (catalan.subject, catalan.html, catalan.locale) == ("Entra", "<p>El teu codi: 1234</p>\n", "ca")
    assert render(imported, "sign-in-code", "fr", code="1234").email.subject.startswith("Votre code")
    assert render(imported, "sign-up-code", "de", code="1234").email.subject == "Neu hier"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_connectors_template_is_used_in_every_language(wrapped):
    config = {
        "fromEmail": "x@example.com",
        "templates": [
            {
                "usageType": "SignIn",
                "subject": "Code {{code}}",
                "content": "<p>{{code}}</p>",
                "contentType": "text/html",
            },
            {
                "usageType": "Generic",
                "subject": "Code",
                "content": "Your code\nis <{{code}}>.\n\nBye",
                "contentType": "text/plain",
            },
        ],
    }
    imported = read({"id": "x", "config": config} if wrapped else config)
    assert imported.notes == ()
    for locale in ("en", "ja"):
        rendered = render(imported, "sign-in-code", locale, code="048291").email
        assert (rendered.subject, rendered.html) == ("Code 048291", "<p>048291</p>\n")
    rendered = render(imported, "generic-code", "en", code="048291").email
    assert rendered.text == "Your code\nis <048291>.\n\nBye\n"
    assert "Your code<br>\nis &lt;048291&gt;.</p>" in rendered.html and 'lang="en"' in rendered.html


def test_mailgun_deliveries_are_imported():
    imported = read(
        {
            "deliveries": {
                "SignIn": {
                    "subject": "Code",
                    "html": "<p>{{code}}</p>",
                    "text": "{{code}}!",
                    "replyTo": "x@example.com",
                },
                "Register": {"template": "welcome", "variables": {}},
            }
        }
    )
    rendered = render(imported, "sign-in-code", "en", code="048291").email
    assert (rendered.html, rendered.text) == ("<p>048291</p>\n", "048291!\n")
    assert [note.split(";")[0] for note in imported.notes] == [
        "SignIn: replyTo is not imported",
        "skipped: Register is stored at the provider",
    ]


def test_a_template_without_the_code_is_not_used():
    imported = read(api(("SignIn", "en", {"subject": "Hi", "content": "<p>Hello</p>"})))
    assert imported.notes == ("SignIn (en): its HTML contains no {{code}}: the built-in template is used instead",)
    rendered = render(imported, "sign-in-code", "en", code="048291")
    assert '>048<span style="padding-left:14px">291</span></p>' in rendered.email.html
    assert rendered.problems == ("emails/sign-in-code.en.html: does not show the code; the built-in template was used",)


def test_an_invitation_may_use_any_variable_of_its_caller():
    details = {
        "subject": "{{role}} at {{organization.name}}",
        "content": '<a href="{{link}}">{{role}}</a> {{site.title}}',
    }
    imported = read(api(("OrganizationInvitation", "en", details)))
    data = {"link": "https://example.com/i?a=1&b=2", "role": "editor", "organization": {"name": "Ac\r\nme"}}
    rendered = render(imported, "organization-invitation", "en", **data)
    assert rendered.problems == ()
    assert rendered.email.subject == "editor at Ac me"
    assert rendered.email.html == '<a href="https://example.com/i?a=1&amp;b=2">editor</a>\n'


def test_a_template_that_is_too_long_is_reported_and_not_used():
    imported = read(api(("SignIn", "en", {"subject": "x", "content": "{{code}}" + "x" * 70_000})))
    assert imported.notes == ("not usable: emails/sign-in-code.en.html: longer than 65536 characters",)


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "x",
        [],
        {},
        {"templates": None},
        {"templates": [None, 7, {}]},
        {"deliveries": {"SignIn": 7}},
        {"config": {}},
        {"templates": [{"templateType": "Nonsense", "details": {"subject": "x"}}]},
        {"templates": [{"templateType": "SignIn", "languageTag": "../x", "details": {"subject": "x"}}]},
        {"templates": [{"templateType": ["SignIn"], "details": {"subject": 7, "content": None}}]},
        {"templates": [{"templateType": "SignIn", "languageTag": "de", "details": {"subject": 7, "content": None}}]},
    ],
    ids=repr,
)
def test_a_document_without_templates_is_an_error(document):
    with pytest.raises(InvalidInput, match="There is no template in this file"):
        read(document)


def test_an_existing_template_is_not_overwritten(tmp_path):
    first = read(api(("SignIn", "de", {"subject": "A", "content": "<p>{{code}}</p>"})))
    second = read(api(("SignIn", "de", {"subject": "B", "content": "<p>{{code}}</p>"})))
    assert {path.relative_to(tmp_path).as_posix() for path in write(first, tmp_path)} == set(first.files)
    write(first, tmp_path)
    with pytest.raises(InvalidInput) as refused:
        write(second, tmp_path)
    assert refused.value.details == ("locales/de.toml",)
    assert (tmp_path / "locales/de.toml").read_text() == '[sign-in-code]\nsubject = "A"\n'
    write(second, tmp_path, replace=True)
    assert '"B"' in (tmp_path / "locales/de.toml").read_text()
