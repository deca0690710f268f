"""The sample mails of the preview: each kind, language, form and brand."""

import pytest

from mailroom.model.security_events import SecurityEvent
from mailroom.rendering.renderer import Renderer
from mailroom_ops.templates.preview import FORMS, SENDER, TEMPLATES, Gallery, sample
from tests.mail.samples import Sample
from tests.pictures import base64, png


@pytest.fixture(scope="session")
def gallery() -> Gallery:
    return Gallery(renderer=Renderer(TEMPLATES))


@pytest.fixture(scope="session")
def every_mail(gallery: Gallery) -> list[Sample]:
    """Each kind in each language."""
    options = gallery.options()
    return [
        Sample(f"{kind}.{locale}", gallery.mail(kind, locale).email)
        for kind in options["kinds"]
        for locale in options["locales"]
    ]


@pytest.fixture(scope="session")
def every_notice(gallery: Gallery) -> list[Sample]:
    """A security notice about each event in each language."""
    assert gallery.renderer
    return [
        Sample(f"{event}.{locale}", gallery.mail("security-notice", locale, event=event).email)
        for event in SecurityEvent
        for locale in gallery.renderer.locales
    ]


@pytest.fixture(scope="session")
def with_logo(gallery: Gallery) -> list[Sample]:
    """A mail with logos for both modes, on the web and inside it, and one with a logo for light mode only."""
    assert gallery.renderer
    day = {"name": "Acme", "logo_url": "https://example.com/day.png"}
    both = {**day, "dark_logo_url": "https://example.com/night.png"}
    files = {"logo.png": base64(png(200, 108, bytes(3) + b"\xff")), "logo-dark.png": base64(png(200, 108, b"\xff" * 4))}
    return [
        Sample(name, gallery.renderer.compose(sample("password-reset"), SENDER, look, files).email)
        for name, look in {"logo.day": day, "logo.both": both, "logo.inline": {**both, "inline_logo": "true"}}.items()
    ]


@pytest.fixture(scope="session")
def every_shape(gallery: Gallery) -> list[Sample]:
    """Each kind with a code, a link, both and neither, left to right and right to left."""
    return [
        Sample(f"{kind}.{locale}.{brand}.{form}", gallery.mail(kind, locale, brand, form).email)
        for kind in gallery.options()["kinds"]
        for locale, brand in (("en", "bright"), ("ar", "acme"), ("de", "plain"))
        for form in FORMS
    ]
