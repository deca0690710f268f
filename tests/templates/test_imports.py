"""Templates of Supabase, Auth0 and Zitadel, imported as those of a tenant: what they show, and what is reported."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Rendered, Renderer
from mailroom_ops.errors import InvalidInput
from mailroom_ops.templates import auth0_import, supabase_import, zitadel_import
from mailroom_ops.templates.imported import Imported
from tests.command import Run

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
LINK = "https://x.example.com/verify?token=t&type=signup"
DATA = {
    "code": "048291",
    "link": LINK,
    "user": {
        "user_metadata": {"first_name": "Ada <b>", "lang": "es"},
        "displayName": "Ada",
        "name": "Ada",
        "app": {"lang": "es"},
    },
    "application": "Acme App",
}


def render(imported: Imported, kind: str, locale: str = "en", data: Mapping[str, Any] = DATA) -> Rendered:
    message = Message("01", "acme", kind, "r@example.com", data, 0.0, 600.0, "supabase", (locale,))
    return RENDERER.compose(message, SENDER, {}, imported.files)


# ---- Supabase ----


def supabase(name: str, content: str, subject: str = "Hi") -> Imported:
    body = {f"mailer_subjects_{name}": subject, f"mailer_templates_{name}_content": content, "site_url": "x"}
    return supabase_import.read(json.dumps(body), Path("config.json"))


def test_supabases_variables_have_the_values_of_its_hook() -> None:
    page = """<style>a { b: c }</style><h2>Hola {{ .Data.first_name }}</h2>
    <a href="{{ .ConfirmationURL }}">Confirm</a> or {{ .Token }}
    {{- if eq .Data.lang "es" }} ES {{ else }} EN {{ end -}}"""
    imported = supabase("confirmation", page, "Confirm, {{ .Data.first_name }} {not}")

    rendered = render(imported, "sign-up-code")

    assert rendered.problems == ()
    assert imported.notes == ()
    assert rendered.email.subject.replace("\u2060", "") == "Confirm, Ada <b> {not}"
    html = rendered.email.html
    assert '<a href="https://x.example.com/verify?token=t&amp;type=signup">' in html
    assert "Hola Ada &lt;b&gt;" in html
    assert "048291" in html
    assert "ES" in html and "EN" not in html
    assert "a { b: c }" in html


def test_supabases_default_change_of_address_names_both_addresses() -> None:
    page = """<h2>Confirm Change of Email</h2>
    <p>Confirm the update of your email from {{ .Email }} to {{ .NewEmail }} at {{ .SiteURL }}:</p>
    <p><a href="{{ .ConfirmationURL }}">Change Email</a></p>"""
    body = {
        "mailer_subjects_email_change": "{{ .SiteURL }}: confirm",
        "mailer_templates_email_change_content": page,
        "site_url": "https://app.example.com/?a=1&b",
    }
    imported = supabase_import.read(json.dumps(body), Path("config.json"))
    data = {"link": LINK, "user": {"email": "ada@example.com", "new_email": "ada.new@example.com"}}

    rendered = render(imported, "email-confirmation", data=data)

    assert imported.notes == ()
    assert rendered.email.subject == "https://app.example.com/?a=1&b: confirm"
    assert "from ada@example.com to ada.new@example.com at https://app.example.com/?a=1&amp;b:" in rendered.email.html


def test_a_supabase_template_with_a_link_alone_is_used() -> None:
    imported = supabase("magic_link", '<p><a href="{{ .ConfirmationURL }}">Log In</a></p>')
    rendered = render(imported, "sign-in-code")
    assert rendered.problems == ()
    assert rendered.email.html.startswith('<p><a href="https://x.example.com/verify')


def test_a_supabase_link_by_token_hash_becomes_its_own_link() -> None:
    own = '<a href="{{ .SiteURL }}/auth/confirm?token_hash={{ .TokenHash }}&type=email">Go</a>'
    imported = supabase("recovery", own)
    assert f'<a href="{LINK.replace("&", "&amp;")}">Go</a>' in render(imported, "password-reset").email.html
    assert imported.notes == ("recovery: a link with {{ .TokenHash }} becomes Supabase's own, {{ .ConfirmationURL }}",)


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("invite", "{{ .OldEmail }} {{ .Token }}", "invite: {{ .OldEmail }} is not sent to Mailroom: always empty"),
        ("invite", "{{ .SiteURL }} {{ .Token }}", "invite: {{ .SiteURL }} is not sent to Mailroom: always empty"),
        ("invite", "Hello", "invite: shows neither code nor link: the built-in template is used instead"),
        ("password_changed_notification", "Hello", "skipped: password_changed_notification; security notices have"),
    ],
)
def test_what_supabase_does_not_send_is_reported(name: str, content: str, note: str) -> None:
    body = {
        f"mailer_templates_{name}_content": content,
        "mailer_templates_confirmation_content": "{{ .Token }}",
        "mailer_allow_unverified_email_sign_ins": False,
    }
    imported = supabase_import.read(json.dumps(body), Path("config.json"))
    assert any(text.startswith(note) for text in imported.notes), imported.notes


@pytest.mark.parametrize(
    "content", ["{{ range .Data.items }}x{{ end }}", '{{ printf "%s" .Token }}', "{{ if and .Token .Email }}x{{ end }}"]
)
def test_a_supabase_template_with_go_code_is_skipped(content: str) -> None:
    body = {"mailer_templates_invite_content": content, "mailer_templates_recovery_content": "{{ .Token }}"}
    imported = supabase_import.read(json.dumps(body), Path("config.json"))
    assert list(imported.files) == ["emails/password-reset.html"]
    assert imported.notes[0].startswith("skipped: invite contains {{")


def test_supabases_config_file_names_its_templates(tmp_path: Path) -> None:
    config = tmp_path / "supabase" / "config.toml"
    (tmp_path / "supabase" / "templates").mkdir(parents=True)
    (tmp_path / "supabase" / "templates" / "invite.html").write_text("<a href='{{ .ConfirmationURL }}'>Join</a>")
    text = """
[auth]
site_url = "https://a.example"
[auth.email.template.invite]
subject = "Join {{ .SiteURL }}"
content_path = "./supabase/templates/invite.html"
[auth.email.notification.password_changed]
enabled = true
"""

    imported = supabase_import.read(text, config)

    assert set(imported.files) == {"emails/organization-invitation.html", "texts.toml"}
    assert [note.partition(";")[0] for note in imported.notes] == ["skipped: password_changed_notification"]
    rendered = render(imported, "organization-invitation")
    assert (rendered.email.subject, "Join</a>" in rendered.email.html) == ("Join https://a.example", True)
    with pytest.raises(InvalidInput, match="does not exist"):
        supabase_import.read(text.replace("invite.html", "missing.html"), config)


# ---- Auth0 ----


def auth0(template: str, body: str, **fields: Any) -> Imported:
    entry = {"template": template, "body": body, "subject": "Hi", "syntax": "liquid", **fields}
    return auth0_import.read(json.dumps([entry]), Path("templates.json"))


def test_auth0s_variables_have_the_values_of_a_request() -> None:
    page = """<p>Hi {{ user.name | escape | upcase }} at {{application.name}}</p><a href="{{ url }}">Go</a>
    {% if user.app.lang == 'es' %}Hola{% elsif user.name != '' %}Hi{% else %}?{% endif %} {{ nothing }}"""
    imported = auth0("verify_email", page, subject="{{ application.name }}: verify", **{"from": "a@example.com"})

    rendered = render(imported, "email-confirmation")

    assert rendered.problems == ()
    assert rendered.email.subject == "Acme App: verify"
    assert "Hi ADA at Acme App</p>" in rendered.email.html
    assert "Hola" in rendered.email.html and "elsif" not in rendered.email.html
    assert 'href="https://x.example.com/verify' in rendered.email.html
    assert imported.notes == (
        "verify_email: {{ user.name }} is empty unless `data` of your requests has user.name",
        "verify_email: {{ user.app.lang }} is empty unless `data` of your requests has user.app.lang",
        "verify_email: {{ nothing }} is not known to Mailroom: always empty",
        "verify_email: from is not imported; set it with the tenant's sender",
    )


def test_an_auth0_default_is_shown_where_the_data_has_no_value() -> None:
    page = """<p>Hi {{ user.nickname | default: 'there' }} {{ user.alias | default: user.name }},
    {{ user.name | default: "you" }}: {{ url }}</p>{% if code %}{% elseif url %}!{% endif %}"""
    rendered = render(auth0("verify_email", page), "email-confirmation")
    assert rendered.problems == ()
    assert "Hi there Ada,\n    Ada: " in rendered.email.html


def test_a_subject_with_a_condition_does_not_stop_the_template() -> None:
    subject = "{% if request_language == 'de' %}Passwort{% else %}Password{% endif %}"
    imported = auth0("reset_email", "<a href='{{ url }}'>Go</a>", subject=subject)
    assert list(imported.files) == ["emails/password-reset.html"]
    assert imported.notes == (
        "reset_email: the subject contains `{% if request_language == 'de' %}` and is not imported:"
        " the built-in one is used",
    )
    own = supabase("recovery", "{{ .Token }}", subject="{{ if .Data.lang }}Hola{{ end }}")
    assert list(own.files) == ["emails/password-reset.html"]
    assert own.notes == (
        "recovery: the subject contains {{if .Data.lang}} and is not imported: the built-in one is used",
    )


@pytest.mark.parametrize("body", ["{% for x in y %}{% endfor %}", "{{ user.name | date: '%Y' }}", "{% assign a = 1 %}"])
def test_an_auth0_template_with_other_liquid_is_skipped(body: str) -> None:
    entries = [{"template": "reset_email", "body": body}, {"template": "welcome_email", "body": "Welcome"}]
    imported = auth0_import.read(json.dumps({"emailTemplates": entries}), Path("tenant.json"))
    assert list(imported.files) == ["emails/welcome.html"]
    assert imported.notes[-1].startswith("skipped: reset_email contains `")


def test_auth0s_deploy_files_name_their_bodies_and_two_of_a_kind_are_reported(tmp_path: Path) -> None:
    (tmp_path / "reset_email.html").write_text("<p>{{ code }}</p>")
    entries = [
        {"template": "reset_email", "body": "<a href='{{ url }}'>x</a>"},
        {"template": "reset_email_by_code", "body": "reset_email.html"},
        {"template": "blocked_account", "body": "x"},
    ]
    imported = auth0_import.read(json.dumps(entries), tmp_path / "templates.json")
    assert render(imported, "password-reset").email.html == "<p>048291</p>\n"
    assert imported.notes == (
        "reset_email_by_code: replaces another template of the kind password-reset",
        "skipped: blocked_account has no counterpart among the kinds",
    )


# ---- Zitadel ----

GERMAN = """
InitCode:
  Title: Konto einrichten
  PreHeader: Konto einrichten
  Subject: Konto von {{.DisplayName}} einrichten
  Greeting: Hallo {{.DisplayName}},
  Text: Klicke auf den Button. (Code {{.Code}}) {{.Other}}
  ButtonText: Einrichten
VerifyPhone:
  Text: Code {{.Code}}
PasswordChange:
  Text: Geändert.
"""


def test_zitadels_texts_become_the_sentences_of_a_language() -> None:
    imported = zitadel_import.read(GERMAN, Path("de.yaml"))

    rendered = render(imported, "sign-up-code", "de")

    assert list(imported.files) == ["locales/de.toml"]
    assert rendered.problems == ()
    assert rendered.email.subject == "Konto von Ada einrichten"
    assert "Hallo Ada, Klicke auf den Button. (Code 048291)" in rendered.email.text
    assert ">Einrichten<" in rendered.email.html
    assert imported.notes == (
        "InitCode: {{.DisplayName}} is empty unless `data` of your requests has user.displayName",
        "InitCode: {{.Other}} is not known to Mailroom: always empty",
        "InitCode: preheader is not imported; Mailroom's begins with the code",
        "skipped: VerifyPhone, a text message",
        "skipped: PasswordChange, a security notice, which has a text for each event",
    )


def test_markup_in_zitadels_own_texts_is_left_out_and_reported() -> None:
    text = '{"VerifyEmail": {"Text": "Bestätige sie <br>(Code <strong>{{.Code}}</strong>).<br> Danke."}}'
    imported = zitadel_import.read(text, Path("de.json"))
    rendered = render(imported, "email-confirmation", "de")
    assert "Bestätige sie (Code 048291). Danke." in rendered.email.text
    assert imported.notes == ("VerifyEmail: line breaks and emphasis are left out; a text is one paragraph",)


@pytest.mark.parametrize("data", [DATA, {**DATA, "inviter": "Grace"}, {**DATA, "organization": "Acme"}])
def test_zitadels_text_of_an_invitation_is_that_of_every_invitation(data: dict[str, Any]) -> None:
    text = '{"InviteUser": {"Greeting": "Hallo {{.DisplayName}},", "Text": "Komm zu {{.ApplicationName}}."}}'
    imported = zitadel_import.read(text, Path("de.json"))
    rendered = render(imported, "organization-invitation", "de", data)
    assert "Hallo Ada, Komm zu Acme App." in rendered.email.text
    assert "eingeladen" not in rendered.email.text


def test_an_answer_of_zitadels_api_is_imported_by_its_name() -> None:
    answer = {"customText": {"subject": "Reset {{.ApplicationName}}", "title": "Reset", "isDefault": False}}
    imported = zitadel_import.read(json.dumps(answer), Path("passwordreset.fr.json"))
    assert render(imported, "password-reset", "fr").email.subject == "Reset Acme App"
    with pytest.raises(InvalidInput, match="does not end with a language"):
        zitadel_import.read(json.dumps(answer), Path("passwordreset.json"))


# ---- all ----


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", "null", '{"a": 1}', "[[", "a: b: c", "\0", "[" * 2000])
@pytest.mark.parametrize("read", [supabase_import.read, auth0_import.read, zitadel_import.read])
def test_a_file_without_templates_is_an_error(read: Any, text: str) -> None:
    with pytest.raises(InvalidInput):
        read(text, Path("de.json"))


@pytest.mark.parametrize(
    ("system", "name", "text", "file"),
    [
        (
            "supabase",
            "config.json",
            '{"mailer_templates_recovery_content": "{{ .Token }}"}',
            "emails/password-reset.html",
        ),
        ("auth0", "reset.json", '{"template": "reset_email", "body": "{{ url }}"}', "emails/password-reset.html"),
        ("zitadel", "de.yaml", GERMAN, "locales/de.toml"),
    ],
)
def test_the_command_imports_by_system(run: Run, tmp_path: Path, system: str, name: str, text: str, file: str) -> None:
    (tmp_path / name).write_text(text)
    folder = tmp_path / "acme"
    done = run("templates", "import", str(tmp_path / name), "--from", system, "--tenant", "acme", "--to", str(folder))
    assert done.code == 0, done.text
    assert (folder / file).is_file()
