"""The preview shows what readers get, as the templates are now."""

import shutil

from mailroom.model.kinds import KINDS
from mailroom.rendering.renderer import Renderer
from mailroom_ops.templates.preview import BRANDS, FORMS, TEMPLATES, Gallery, in_scheme


def test_there_is_a_sample_of_every_kind_in_every_language_brand_and_form():
    gallery = Gallery(renderer=Renderer(TEMPLATES))
    options = gallery.options()
    assert options["kinds"] == list(KINDS)
    assert options["locales"][0] == "en" and len(options["locales"]) >= 34
    for kind in options["kinds"]:
        for brand in BRANDS:
            for form, said in FORMS.items():
                made = gallery.mail(kind, "uk-UA", brand, form)
                assert made.problems == () and made.email.locale == "uk-UA"
                assert all(value in made.email.text for value in said.values())


def test_an_edit_of_a_template_shows_at_once(tmp_path):
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    gallery = Gallery(tmp_path / "templates")
    assert "Sign in to Acme" in gallery.mail("sign-in-code").email.html
    english = tmp_path / "templates" / "locales" / "en.toml"
    english.write_text(english.read_text("utf-8").replace("Sign in to {app}", "Come in, {app} awaits"), "utf-8")
    assert "Come in, Acme awaits" in gallery.mail("sign-in-code").email.html


def test_a_mail_can_be_seen_dark_on_a_light_screen_and_the_other_way_round():
    html = Gallery().mail("sign-in-code").email.html
    assert "prefers-color-scheme" not in in_scheme(html, "dark") + in_scheme(html, "light")
    assert in_scheme(html, "dark") != in_scheme(html, "light")


def test_the_gallery_is_written_as_files(tmp_path):
    count = Gallery(renderer=Renderer(TEMPLATES)).write(tmp_path)
    assert count == len(KINDS) * len(Gallery().options()["locales"])
    assert len(list(tmp_path.glob("*.html"))) == 2 * count + 1
    assert (tmp_path / "sign-in-code.de.txt").read_text("utf-8").startswith("Subject: Ihr Anmeldecode für Acme\n")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert '"kind": "sign-in-code", "locale": "de", "subject": "Ihr Anmeldecode für Acme"' in page
