"""The preview renders every sample from the templates on disk."""

import shutil

import pytest

from mailroom.model.kinds import KINDS
from mailroom.rendering.renderer import Renderer
from mailroom_ops.templates.preview import BRANDS, FORMS, TEMPLATES, Gallery, force_color_scheme
from mailroom_ops.templates.tenant_samples import tenant_samples


def test_every_kind_renders_in_every_brand_and_form():
    gallery = Gallery(renderer=Renderer(TEMPLATES))
    options = gallery.options()
    assert options["kinds"] == list(KINDS)
    assert options["locales"][0] == "en" and len(options["locales"]) >= 34
    for kind in options["kinds"]:
        for brand in BRANDS:
            for form, content in FORMS.items():
                rendered = gallery.mail(kind, "uk-UA", brand, form)
                assert rendered.problems == () and rendered.email.locale == "uk-UA"
                assert all(value in rendered.email.text for value in content.values())


def test_an_edited_template_is_rendered_at_once(tmp_path):
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    gallery = Gallery(tmp_path / "templates")
    assert "Sign in to Acme" in gallery.mail("sign-in-code").email.html
    english = tmp_path / "templates" / "locales" / "en.toml"
    english.write_text(english.read_text("utf-8").replace("Sign in to {app}", "Come in, {app} awaits"), "utf-8")
    assert "Come in, Acme awaits" in gallery.mail("sign-in-code").email.html


def test_the_color_scheme_of_a_mail_can_be_forced():
    html = Gallery().mail("sign-in-code").email.html
    assert "prefers-color-scheme" not in force_color_scheme(html, "dark") + force_color_scheme(html, "light")
    assert force_color_scheme(html, "dark") != force_color_scheme(html, "light")


def test_a_tenant_is_previewed_as_its_settings_merge():
    values = {
        "brands/default": '{"color": "#123456", "company": "Holding\\nStreet 1"}',
        "brands/acme": '{"name": "Acme", "text_only": false, "code_in_subject": true}',
        "senders/default/auth": '{"from": "Main <hi@main.example>"}',
        "senders/acme/auth": '{"from": "nobody", "reply_to": "help@acme.example"}',
        "removed/hooli/brands/hooli": '{"name": "Hooli"}',
    }
    samples = tenant_samples(values)
    assert list(samples) == ["default", "acme"]
    email = Gallery().tenant_mail(samples["acme"], "sign-in-code").email
    assert email.subject == "048291 – Your Acme sign-in code"
    assert "Holding" in email.text
    assert "#123456" in Gallery().tenant_mail(samples["acme"], "email-confirmation").email.html
    assert email.reply_to
    assert (email.from_.address, email.reply_to.address) == ("no-reply@mail.example.com", "help@acme.example")


@pytest.mark.thorough
def test_all_mails_are_written_as_files(tmp_path):
    count = Gallery(renderer=Renderer(TEMPLATES)).write(tmp_path)
    assert count == len(KINDS) * len(Gallery().options()["locales"])
    assert len(list(tmp_path.glob("*.html"))) == 2 * count + 1
    assert (tmp_path / "sign-in-code.de.txt").read_text("utf-8").startswith("Subject: Ihr Anmeldecode für Acme\n")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert '"kind": "sign-in-code", "locale": "de", "subject": "Ihr Anmeldecode für Acme"' in page
