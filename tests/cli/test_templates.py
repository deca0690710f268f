"""Templates in the parameter store: pushed after checks, listed by version, rolled back, pulled; in a real SSM."""

import json
from hashlib import sha256, shake_256
from pathlib import Path

import pytest

from mailroom.model.stored_files import pack, unpack
from tests.cli.helpers import Stored
from tests.command import Run
from tests.pictures import JPEG, Publish, base64, png

TEXTS = '[sign-in-code]\nsubject = "Come in, {app}"\n'
BODY = '{% extends "layout.html" %}{% block body %}{% include "parts/code.html" %}{% endblock %}'
LOGO = png(200, 108, b"\x0b\x7a\x5c\xff")
STAGING = ("--tenant", "acme", "--env", "staging")


@pytest.fixture
def acme(staging: Stored) -> Stored:
    staging.put(brands__acme='{"name": "Acme"}', senders__acme__auth='{"from": "Acme <hi@acme.example>"}')
    return staging


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "emails").mkdir()
    (tmp_path / "texts.toml").write_text(TEXTS)
    return tmp_path


def files_of(store: Stored) -> dict[str, str]:
    return dict(unpack(store.values()["templates/acme"]))


def test_files_are_checked_planned_and_stored(run: Run, acme: Stored, folder: Path) -> None:
    checked = run("templates", "push", str(folder), *STAGING, "--check")
    assert (checked.code, "The files pass all checks." in checked.text) == (0, True)
    assert "templates/acme" not in acme.values()

    (folder / "emails" / "mfa-code.html").write_text(BODY)
    pushed = run("templates", "push", str(folder), *STAGING)
    assert pushed.code == 0
    assert f"acme in staging + emails/mfa-code.html {len(BODY)} bytes + texts.toml {len(TEXTS)} bytes" in pushed.text
    assert files_of(acme) == {"texts.toml": TEXTS, "emails/mfa-code.html": BODY}
    assert json.loads(acme.values()["brands/acme"]) == {"name": "Acme", "stored_templates": True}
    assert acme.types()["templates/acme"] is False

    (folder / "texts.toml").unlink()
    again = run("templates", "push", str(folder), *STAGING)
    assert "= emails/mfa-code.html unchanged - texts.toml removed" in again.text
    assert "Nothing changes." in run("templates", "push", str(folder), *STAGING).text


@pytest.mark.thorough
def test_a_script_reads_what_was_stored_as_json(run: Run, acme: Stored, folder: Path, tmp_path: Path) -> None:
    pushed = json.loads(run("templates", "push", str(folder), "--json", *STAGING).out)
    assert pushed == {"tenant": "acme", "files": [{"name": "texts.toml", "act": "create"}], "stored": True}
    again = json.loads(run("templates", "push", str(folder), "--json", *STAGING).out)
    assert again == {"tenant": "acme", "files": [{"name": "texts.toml", "act": "keep"}], "stored": False}
    none = json.loads(run("templates", "rollback", "--to", "0", "--json", *STAGING).out)
    assert none == {"tenant": "acme", "files": [{"name": "texts.toml", "act": "remove"}], "stored": True}
    pulled = json.loads(run("templates", "pull", str(tmp_path / "t"), "--version", "1", "--json", *STAGING).out)
    assert pulled["tenant"] == "acme"
    assert [Path(file).name for file in pulled["files"]] == ["texts.toml"]


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("emails/mfa-code.html", "<p>{{ code }", "emails/mfa-code.html: line 1"),
        ("emails/mfa-code.html", "{{ range(9) }}", "brackets may only follow a filter"),
        ("emails/mfa-code.html", "<p>Hello</p>", "does not show the code"),
        ("emails/mfa-code.html", "{{ nobody.knows }}", "emails/mfa-code.html, line 1"),
        ("locales/de.toml", "[sign-in-code]\nsubject = 'Hallo {nobody}'", "has an unknown placeholder {nobody}"),
        ("texts.toml", "subject = ", "texts.toml: "),
        ("notes.txt", "Remember the milk", "not the name of a template or text file"),
        ("layout.html", "<p>{% block body %}{% endblock %}</p>" + "0123456789" * 3100, "the HTML has"),
        (
            "layout.html",
            '{% block body %}{% endblock %}<a href="http://acme.example">Acme</a>',
            "a link is not https: http://acme.example",
        ),
        ("layout.html", '{% block body %}{% endblock %}<img src="logo.png">', "a picture is not https: logo.png"),
        ("layout.html", "{% block body %}{% endblock %}<form></form>", "mail clients remove <form>"),
    ],
)
def test_files_that_readers_would_suffer_from_are_not_stored(
    run: Run, acme: Stored, folder: Path, name: str, content: str, detail: str
) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    refused = run("templates", "push", str(folder), *STAGING)
    assert (refused.code, detail in refused.text) == (2, True), refused.text
    assert "templates/acme" not in acme.values()


def test_files_that_do_not_fit_into_a_parameter_are_not_stored(run: Run, acme: Stored, folder: Path) -> None:
    lines = (f'text{number} = "{sha256(str(number).encode()).hexdigest()}"' for number in range(400))
    (folder / "texts.toml").write_text("[welcome]\n" + "\n".join(lines))
    refused = run("templates", "push", str(folder), *STAGING)
    assert (refused.code, "a parameter has 8192" in refused.text) == (2, True)


def test_a_text_that_is_hard_to_read_is_a_warning(run: Run, acme: Stored, folder: Path) -> None:
    (folder / "layout.html").write_text('{% block body %}{% endblock %}<p style="color:#bbbbbb">Legal notice</p>')
    pushed = run("templates", "push", str(folder), *STAGING)
    assert pushed.code == 0
    assert "#bbbbbb on #ffffff has a contrast of 1.9: “Legal notice”" in pushed.text


def test_an_unknown_tenant_and_an_empty_folder_are_refused(run: Run, staging: Stored, tmp_path: Path) -> None:
    empty = run("templates", "push", str(tmp_path), *STAGING)
    assert (empty.code, "There are no templates in" in empty.text) == (2, True)
    (tmp_path / "texts.toml").write_text(TEXTS)
    unknown = run("templates", "push", str(tmp_path), *STAGING)
    assert (unknown.code, "There is no tenant acme." in unknown.text) == (2, True)


@pytest.mark.thorough
def test_versions_are_listed_and_rolled_back(run: Run, acme: Stored, folder: Path) -> None:
    assert "acme has no stored templates." in run("templates", "list", *STAGING).text
    for word in ("First", "Second", "Third"):
        (folder / "texts.toml").write_text(TEXTS.replace("Come in", word))
        assert run("templates", "push", str(folder), *STAGING).code == 0
    listed = json.loads(run("templates", "list", *STAGING, "--json").out)
    assert [(row["version"], row["files"]) for row in listed] == [(n, ["texts.toml"]) for n in (3, 2, 1)]
    assert "acme 3 texts.toml" in run("templates", "list", "--env", "staging").text

    assert run("templates", "rollback", *STAGING).code == 0
    assert "Second" in files_of(acme)["texts.toml"]
    assert run("templates", "rollback", *STAGING, "--to", "1").code == 0
    assert "First" in files_of(acme)["texts.toml"]
    assert run("templates", "rollback", *STAGING, "--to", "9").code == 2
    assert run("templates", "rollback", *STAGING, "--to", "0").code == 0
    assert (files_of(acme), json.loads(acme.values()["brands/acme"])) == ({}, {"name": "Acme"})


def test_a_version_that_is_no_longer_usable_is_not_stored_again(run: Run, acme: Stored, folder: Path) -> None:
    acme.put(templates__acme=pack({"texts.toml": "broken"}))
    assert run("templates", "push", str(folder), *STAGING).code == 0
    refused = run("templates", "rollback", *STAGING)
    assert (refused.code, "texts.toml" in refused.text) == (2, True)
    assert files_of(acme) == {"texts.toml": TEXTS}


def test_stored_files_are_pulled_to_be_edited(run: Run, acme: Stored, folder: Path, tmp_path: Path) -> None:
    run("templates", "push", str(folder), *STAGING)
    target = tmp_path / "pulled"
    assert run("templates", "pull", str(target), *STAGING).code == 0
    assert (target / "texts.toml").read_text() == TEXTS
    (target / "texts.toml").write_text("edited")
    assert run("templates", "pull", str(target), *STAGING).code == 2
    assert run("templates", "pull", str(target), *STAGING, "--replace", "--version", "1").code == 0


@pytest.mark.thorough
def test_a_logo_travels_with_the_files_and_is_pulled_as_a_picture(
    run: Run, acme: Stored, folder: Path, tmp_path: Path
) -> None:
    acme.put(brands__acme='{"name": "Acme", "inline_logo": true}')
    (folder / "logo.png").write_bytes(LOGO)
    pushed = run("templates", "push", str(folder), *STAGING)
    assert (pushed.code, f"+ logo.png {len(LOGO)} bytes" in pushed.text) == (0, True)
    run("templates", "pull", str(tmp_path / "pulled"), *STAGING)
    assert (tmp_path / "pulled" / "logo.png").read_bytes() == LOGO
    run("preview", "--out", str(tmp_path / "mails"), *STAGING)
    shown = (tmp_path / "mails" / "mfa-code.en.light.html").read_text()
    assert f'src="data:image/png;base64,{base64(LOGO)}"' in shown

    run("templates", "rollback", "--to", "0", *STAGING)
    assert files_of(acme) == {}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("logo.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.png: not a PNG picture"),
        ("logo.jpg", LOGO, "logo.jpg: not a JPG picture"),
        ("logo.png", LOGO + bytes(20_000), "logo.png: more than 20 kB"),
        ("logo.png", LOGO + shake_256(b"").digest(9_000), "make the logos smaller"),
    ],
)
def test_a_logo_that_mails_cannot_contain_is_not_stored(
    run: Run, acme: Stored, folder: Path, name: str, content: bytes, problem: str
) -> None:
    (folder / name).write_bytes(content)
    refused = run("templates", "push", str(folder), *STAGING)
    assert (refused.code, problem in refused.text) == (2, True)
    assert "templates/acme" not in acme.values()


def test_a_small_logo_is_stored_with_a_warning(run: Run, acme: Stored, folder: Path) -> None:
    (folder / "logo.png").write_bytes(png(60, 36, b"\x0b\x7a\x5c\xff"))
    pushed = run("templates", "push", str(folder), *STAGING)
    assert (pushed.code, "logo.png is small, and looks blurred" in pushed.text) == (0, True)


@pytest.mark.thorough
def test_the_logos_at_the_brands_addresses_are_stored_beside_the_texts(
    run: Run, acme: Stored, folder: Path, publish: Publish
) -> None:
    brand = {"name": "Acme", "logo_url": publish("acme.png", LOGO), "dark_logo_url": publish("dark.jpg", JPEG)}
    acme.put(brands__acme=json.dumps(brand))
    run("templates", "push", str(folder), *STAGING)

    stored = run("templates", "logos", *STAGING)
    assert (stored.code, f"+ logo-dark.jpg {len(JPEG)} bytes" in stored.text) == (0, True)
    assert files_of(acme) == {"texts.toml": TEXTS, "logo.png": base64(LOGO), "logo-dark.jpg": base64(JPEG)}
    assert json.loads(acme.values()["brands/acme"]) == {**brand, "stored_templates": True, "inline_logo": True}

    run("templates", "logos", "--off", *STAGING)
    assert files_of(acme) == {"texts.toml": TEXTS}
    assert json.loads(acme.values()["brands/acme"])["inline_logo"] is False


def test_a_picture_of_this_machine_is_stored_in_place_of_the_one_on_the_web(
    run: Run, acme: Stored, tmp_path: Path
) -> None:
    (tmp_path / "new.png").write_bytes(LOGO)
    assert "has no logo_url. Name a picture with --light" in run("templates", "logos", *STAGING).text
    assert run("templates", "logos", "--light", str(tmp_path / "new.png"), *STAGING).code == 0
    assert files_of(acme) == {"logo.png": base64(LOGO)}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is a SVG: mails can contain a PNG or a JPEG."),
        (b"RIFF\0\0\0\0WEBPVP8 ", "is a WebP: mails can contain a PNG or a JPEG."),
        (b"<!doctype html>", "is no picture: mails can contain a PNG or a JPEG."),
        (LOGO + bytes(30_000), "kB, and mails have room for 20"),
    ],
)
def test_a_picture_that_mails_cannot_contain_is_refused(
    run: Run, acme: Stored, publish: Publish, content: bytes, problem: str
) -> None:
    acme.put(brands__acme=json.dumps({"logo_url": publish("logo", content)}))
    refused = run("templates", "logos", *STAGING)
    assert (refused.code, problem in refused.text) == (2, True)
    assert "templates/acme" not in acme.values()


@pytest.mark.thorough
def test_a_preview_shows_the_stored_texts(run: Run, acme: Stored, folder: Path, tmp_path: Path) -> None:
    run("templates", "push", str(folder), *STAGING)
    run("preview", "--out", str(tmp_path / "preview"), *STAGING)
    assert "Subject: Come in, Acme" in (tmp_path / "preview" / "sign-in-code.de.txt").read_text()


def test_stored_texts_are_promoted_with_their_tenant(run: Run, acme: Stored, production: Stored, folder: Path) -> None:
    run("templates", "push", str(folder), *STAGING)
    promoted = run("promote", "staging", "production", "--tenant", "acme", "--yes")
    assert promoted.code == 0, promoted.text
    assert files_of(production) == {"texts.toml": TEXTS}
    assert json.loads(production.values()["brands/acme"])["stored_templates"] is True
