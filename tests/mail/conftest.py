"""Every mail there is, as the preview shows it."""

from typing import NamedTuple

import pytest

from mailroom.email import Email
from mailroom.rendering import Renderer
from mailroom_ops.preview import BRANDS, FORMS, TEMPLATES, Gallery


class Sample(NamedTuple):
    """One mail and how it came about."""

    name: str
    email: Email


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
def every_shape(gallery: Gallery) -> list[Sample]:
    """Each kind with a code, a link, both and neither, in each brand, from left to right and from right to left."""
    return [
        Sample(f"{kind}.{locale}.{brand}.{form}", gallery.mail(kind, locale, brand, form).email)
        for kind in gallery.options()["kinds"]
        for locale in ("en", "ar")
        for brand in BRANDS
        for form in FORMS
    ]
