"""Notes on a brand: colors that are adapted to be readable, and logos that some mail clients do not show."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mailroom.rendering.brand import Brand, contrast
from mailroom_ops.templates.logo_files import file_size

__all__ = ["BrandNote", "brand_notes"]

WHITE = "#ffffff"
TEXT_CONTRAST = 4.5  # WCAG 2.2 AA


@dataclass(frozen=True, slots=True)
class BrandNote:
    """One line: what is adapted or not shown, and with the level `warning` what to do about it."""

    level: Literal["ok", "note", "warning"]
    subject: str
    text: str
    todo: str = ""

    def to_json(self) -> dict[str, str]:
        return {"level": self.level, "subject": self.subject, "text": self.text, "todo": self.todo}


def brand_notes(
    settings: Mapping[str, str], fallback: str, templates: Path, logos: Mapping[str, str]
) -> list[BrandNote]:
    """Return notes on a brand as it is rendered; `fallback` is the name that its mails have without a name.

    `logos` are the tenant's files of logos for inside its mails.
    """
    defaults = tomllib.loads((templates / "brand.toml").read_text("utf-8"))
    brand = Brand.of(settings, {}, defaults, fallback)
    return [
        *_color_notes(brand),
        *_logo_notes(brand, settings),
        *_inline_notes(settings, logos),
        *_text_notes(brand, settings),
    ]


def _color_notes(brand: Brand) -> Iterator[BrandNote]:
    light, dark = brand.light, brand.dark
    ratio = contrast(light.button_text, light.button)
    ink = "white" if light.button_text == WHITE else "black"
    note = f"have the color {light.button} with {ink} text, contrast {ratio:.1f}"
    if ratio >= TEXT_CONTRAST:
        yield BrandNote("ok", "Buttons", note)
    else:
        yield BrandNote(
            "warning", "Buttons", f"{note}; readable is {TEXT_CONTRAST}", "Choose a darker or lighter color."
        )
    if light.link != light.button:
        shown = contrast(light.button, light.card)
        yield BrandNote("note", "Links", f"are {light.link}: {light.button} has a contrast of {shown:.1f} on white")
    if dark.button != light.button:
        yield BrandNote(
            "note", "Dark mode", f"has buttons in {dark.button}, because {light.button} is hard to see there"
        )


def _logo_notes(brand: Brand, settings: Mapping[str, str]) -> Iterator[BrandNote]:
    for key, name in (("logo_url", "Logo"), ("dark_logo_url", "Dark logo")):
        path = settings.get(key, "").partition("?")[0].lower()
        if path.endswith((".svg", ".svgz")):
            yield BrandNote("warning", name, "is an SVG, which Gmail and Outlook do not show", "Use a PNG.")
        elif path.endswith(".webp"):
            yield BrandNote("warning", name, "is a WebP, which Outlook for Windows does not show", "Use a PNG.")
    if brand.dark_logo_url and not brand.logo_url:
        yield BrandNote(
            "warning", "Logo", "is set for dark mode only", "Set logo_url: most mail clients show no other."
        )
    elif brand.logo_url and not brand.dark_logo_url:
        yield BrandNote("note", "Logo", "gets a light background in dark mode, because there is no dark logo")
    if brand.logo_url:
        yield BrandNote(
            "note",
            "Gmail and Outlook for Windows",
            "darken mails by themselves and never show the dark logo: a dark logo on a transparent ground disappears "
            "there, one with a ground of its own or a light outline does not",
        )


def _inline_notes(settings: Mapping[str, str], logos: Mapping[str, str]) -> Iterator[BrandNote]:
    if settings.get("inline_logo") != "true":
        return
    if not logos:
        todo = "Load the logos into mails, below the form."
        yield BrandNote("warning", "Logos inside mails", "are not stored, so mails have the remote ones", todo)
        return
    size = sum(file_size(name, content) for name, content in logos.items())
    yield BrandNote("note", "Logos inside mails", f"make each mail {size * 4 / 3000:.0f} kB larger")


def _text_notes(brand: Brand, settings: Mapping[str, str]) -> Iterator[BrandNote]:
    if not settings.get("name"):
        yield BrandNote(
            "warning", "Name", f"is not set, so mails are from {brand.name}", "Set the name that recipients know."
        )
    if not brand.account_url:
        yield BrandNote("note", "Security notices", "have no button: account_url is not set")
    if not (brand.support_url or brand.support_email):
        yield BrandNote("note", "Footers", "have no link to support")
    if brand.code_in_subject:
        yield BrandNote("note", "Subjects", "contain the code: providers store it in events and logs")
    if brand.text_only:
        yield BrandNote("note", "Mails", "have no HTML part, and so neither color nor logo")
