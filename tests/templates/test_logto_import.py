"""Logto's own templates become a tenant's, mean the same, and leak nothing raw."""

from pathlib import Path
from typing import Any

import pytest

from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Rendered, Renderer
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates.logto_import import Imported, read, write

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
PAGE = """<!doctype html><html><head><style>
p { color: {{color}}; } .a{} {%raw%} {# note #} @media (x) { .b { c: d } }
</style></head><body><p>Hi {{ user.name }}, {{application.name}} says {{{code}}} [{{ code }}].</p>
<a href="{{link}}">{{organization}} {{list}} {{list.0}} {{application.nothing}} {{a-b}} {{#if x}}{{/if}}</a>
</body></html>"""


def api(*templates: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {"templates": [{"languageTag": tag, "templateType": kind, "details": said} for kind, tag, said in templates]}


def render(imported: Imported, kind: str, locale: str, **data: Any) -> Rendered:
    message = Message("01", "acme", kind, "r@example.com", data, 0.0, 600.0, "logto", (locale,))
    return RENDERER.compose(message, SENDER, {}, imported.files)


def test_variables_mean_what_they_mean_to_logto_but_are_escaped():
    imported = read(api(("SignIn", "de", {"subject": "{{code}} für {{application.name}} {x}", "content": PAGE})))
    application = {"name": "<b>&\"A'", "id": "1"}
    made = render(
        imported, "sign-in-code", "de", code="048291", application=application, organization={}, list=[1, "2"]
    )
    assert made.problems == ()
    assert made.email.subject.replace("\u2060", "") == "048291 für <b>&\"A' {x}"
    html = made.email.html
    assert "&lt;b&gt;&amp;&quot;A&#x27; says {048291} [048291]." in html
    assert '<a href="">[object Object] 1,2 1  {{a-b}} {{#if x}}{{/if}}</a>' in html
    assert "p { color: ; } .a{} {%raw%} {# note #} @media (x) { .b { c: d } }" in html
    assert "Hi , " in html
    assert "048291" in made.email.text


def test_every_variable_that_cannot_be_resolved_is_reported():
    notes = read(api(("SignIn", "de", {"subject": "x", "content": PAGE}))).notes
    unresolved = [note for note in notes if "unresolved" in note]
    assert [note.split("}}")[0] for note in unresolved] == [
        "SignIn (de): {{color",
        "SignIn (de): {{user.name",
        "SignIn (de): {{link",
        "SignIn (de): {{list",
        "SignIn (de): {{list.0",
    ]
    assert "SignIn (de): {{application.name}} is not always sent; empty then" in notes


def test_each_language_gets_its_own_and_the_others_ours():
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
def test_a_connectors_config_serves_every_language(wrapped):
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
        made = render(imported, "sign-in-code", locale, code="048291").email
        assert (made.subject, made.html) == ("Code 048291", "<p>048291</p>\n")
    made = render(imported, "generic-code", "en", code="048291").email
    assert made.text == "Your code\nis <048291>.\n\nBye\n"
    assert "Your code<br>\nis &lt;048291&gt;.</p>" in made.html and 'lang="en"' in made.html


def test_mailguns_deliveries_are_understood():
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
    made = render(imported, "sign-in-code", "en", code="048291").email
    assert (made.html, made.text) == ("<p>048291</p>\n", "048291!\n")
    assert [note.split(";")[0] for note in imported.notes] == [
        "SignIn: replyTo is not taken over",
        "left out: Register lies at the provider under a name",
    ]


def test_a_template_without_the_code_is_named_and_never_sent():
    imported = read(api(("SignIn", "en", {"subject": "Hi", "content": "<p>Hello</p>"})))
    assert imported.notes == ("SignIn (en): its HTML shows no {{code}}, so ours will be sent in its place",)
    made = render(imported, "sign-in-code", "en", code="048291")
    assert ">048291</p>" in made.email.html
    assert made.problems == ("emails/sign-in-code.en.html: does not show the code; ours was sent",)


def test_an_invitation_may_use_whatever_its_caller_sends():
    said = {"subject": "{{role}} at {{organization.name}}", "content": '<a href="{{link}}">{{role}}</a> {{site.title}}'}
    imported = read(api(("OrganizationInvitation", "en", said)))
    data = {"link": "https://example.com/i?a=1&b=2", "role": "editor", "organization": {"name": "Ac\r\nme"}}
    made = render(imported, "organization-invitation", "en", **data)
    assert made.problems == ()
    assert made.email.subject == "editor at Ac me"
    assert made.email.html == '<a href="https://example.com/i?a=1&amp;b=2">editor</a>\n'


def test_what_is_too_long_is_said_and_not_used():
    imported = read(api(("SignIn", "en", {"subject": "x", "content": "{{code}}" + "x" * 70_000})))
    assert imported.notes == ("cannot be used: emails/sign-in-code.en.html: longer than 65536 characters",)


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
def test_what_holds_no_template_is_refused_in_one_sentence(document):
    with pytest.raises(InvalidInput, match="there is no template in this file"):
        read(document)


def test_the_files_are_written_and_nothing_is_written_over(tmp_path):
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
