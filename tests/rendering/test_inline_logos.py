"""Logos inside the mails of a tenant: what the mail refers to, and what happens where a file cannot be used."""

from pathlib import Path

import pytest

from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Parcel
from mailroom.model.sender import Sender
from mailroom.rendering.inline_logos import MAX_LOGO_BYTES
from mailroom.rendering.renderer import Renderer
from tests.pictures import JPEG, base64, png
from tests.rendering.requests import mail_request

TEMPLATES = Path(__file__).parents[2] / "layers" / "templates"
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
BRAND = {"logo_url": "https://cdn.example.com/logo.png?a=1&b=2", "dark_logo_url": "https://cdn.example.com/dark.png"}
INLINE = {**BRAND, "inline_logo": "true"}
LOGO, DARK = png(200, 72, b"\x0b\x7a\x5c\xff"), png(200, 72, b"\xff\xff\xff\xff")
FILES = {"logo.png": base64(LOGO), "logo-dark.png": base64(DARK)}
CODE = mail_request("sign-in-code", "en", tenant="acme", code="048291")


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


def test_a_mail_contains_the_logos_that_its_html_refers_to(renderer: Renderer) -> None:
    rendered = renderer.compose(CODE, SENDER, INLINE, FILES)

    light, dark = rendered.email.images
    assert rendered.problems == ()
    assert (light.name, light.type, light.content) == ("logo.png", "image/png", base64(LOGO))
    assert (dark.name, dark.content) == ("logo-dark.png", base64(DARK))
    assert f'src="cid:{light.cid}"' in rendered.email.html
    assert f'src="cid:{dark.cid}"' in rendered.email.html
    assert "cdn.example.com" not in rendered.email.html


def test_a_mail_has_no_logo_inside_unless_its_brand_has_the_option(renderer: Renderer) -> None:
    without = renderer.compose(CODE, SENDER, BRAND).email

    assert renderer.compose(CODE, SENDER, BRAND, FILES).email == without
    assert renderer.compose(CODE, SENDER, INLINE).email == without
    assert "https://cdn.example.com/logo.png?a=1&amp;b=2" in without.html


def test_a_provider_that_takes_no_pictures_gets_the_mail_with_remote_logos(renderer: Renderer) -> None:
    inline = renderer.compose(CODE, SENDER, INLINE, FILES).email

    assert inline.with_remote_images == renderer.compose(CODE, SENDER, BRAND).email


def test_a_logo_without_a_dark_one_leaves_the_remote_dark_one(renderer: Renderer) -> None:
    email = renderer.compose(CODE, SENDER, INLINE, {"logo.jpg": base64(JPEG)}).email

    (image,) = email.images
    assert image.type == "image/jpeg"
    assert 'src="https://cdn.example.com/dark.png"' in email.html


def test_a_mail_contains_no_logo_that_it_does_not_show(renderer: Renderer) -> None:
    own = {**FILES, "emails/sign-in-code.html": "<p>{{ code.text }}</p>"}

    assert renderer.compose(CODE, SENDER, INLINE, own).email.images == ()
    assert renderer.compose(CODE, SENDER, {**INLINE, "text_only": "true"}, FILES).email.images == ()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"logo.png": base64(JPEG)}, "logo.png: not a PNG picture"),
        ({"logo.jpg": base64(LOGO)}, "logo.jpg: not a JPG picture"),
        ({"logo.png": FILES["logo.png"] + "\n"}, "logo.png: not a PNG picture"),
        ({"logo.png": "iVBORw0KGgo%"}, "logo.png: not a PNG picture"),
        ({"logo.png": base64(LOGO + bytes(MAX_LOGO_BYTES))}, "logo.png: more than 20 kB"),
        (
            {"logo.png": base64(LOGO + bytes(MAX_LOGO_BYTES // 2)), "logo-dark.jpg": base64(JPEG + bytes(10_000))},
            "logo-dark.jpg, logo.png: more than 20 kB",
        ),
    ],
)
def test_an_unusable_logo_leaves_the_remote_one_and_is_reported(
    renderer: Renderer, files: dict[str, str], problem: str
) -> None:
    rendered = renderer.compose(CODE, SENDER, INLINE, files)

    assert rendered.problems == (problem,)
    assert rendered.email == renderer.compose(CODE, SENDER, BRAND).email


def test_logos_are_files_beside_the_deployed_templates(tmp_path: Path) -> None:
    for path in TEMPLATES.iterdir():
        if path.name != "tenants":
            (tmp_path / path.name).symlink_to(path)
    folder = tmp_path / "tenants" / "acme"
    folder.mkdir(parents=True)
    (folder / "logo.png").write_bytes(LOGO)

    (image,) = Renderer(tmp_path).compose(CODE, SENDER, INLINE).email.images

    assert image.content == base64(LOGO)


def test_another_picture_has_another_content_id(renderer: Renderer) -> None:
    first, second = (renderer.compose(CODE, SENDER, INLINE, {"logo.png": FILES[name]}).email for name in FILES)

    assert first.images[0].cid != second.images[0].cid


def test_a_queued_mail_keeps_its_logos_and_fits_into_the_smallest_queue(renderer: Renderer) -> None:
    files = {"logo.png": base64((LOGO + bytes(MAX_LOGO_BYTES))[:MAX_LOGO_BYTES])}
    parcel = Parcel.of(CODE).next_attempt(renderer.compose(CODE, SENDER, INLINE, files).email)

    assert Parcel.from_json(parcel.to_json()) == parcel
    assert len(parcel.to_json().encode()) < 100_000, "SQS takes a message of 1 MiB"
