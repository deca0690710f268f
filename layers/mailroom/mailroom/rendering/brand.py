"""The brand of a mail: names and logos from the tenant or a hint, and colors that are readable in both modes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mailroom import untrusted
from mailroom.model.mailbox import is_address

__all__ = ["Brand", "contrast"]

READABLE_CONTRAST = 4.5  # WCAG 2.2 AA for text, https://www.w3.org/TR/WCAG22/#contrast-minimum
VISIBLE_CONTRAST = 3.0  # of anything but text
MAX_GREY_CHROMA = 32  # of 255; above, a color has a hue
MIN_GREY_CONTRAST = 2.0
MAX_COMPANY_LINES = 10
COLOR = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colors of one mode, light or dark."""

    page: str
    card: str
    text: str
    muted: str
    box: str
    rule: str
    link: str
    page_link: str
    button: str
    button_edge: str
    button_text: str


@dataclass(frozen=True, slots=True)
class Brand:
    """The `brand` of the template context."""

    name: str
    logo_url: str
    dark_logo_url: str
    company: tuple[str, ...]
    support_url: str
    support_email: str
    account_url: str  # the page where a recipient secures their account
    request_context: bool  # whether mails show when, where and with what their request was made
    code_in_subject: bool
    text_only: bool  # whether mails have no HTML part
    font: str
    light: Palette
    dark: Palette

    @classmethod
    def of(
        cls, settings: Mapping[str, str], hints: Mapping[str, str], defaults: Mapping[str, Any], fallback: str
    ) -> "Brand":
        """Return a brand from the tenant's settings, then the source's hints, then the defaults."""
        # Settings have priority: a hint describes the application or organization that a mail is about, not its sender.
        logo, dark_logo = (_logo(settings.get(key)) for key in ("logo_url", "dark_logo_url"))
        if not (logo or dark_logo):
            logo, dark_logo = (_logo(hints.get(key)) for key in ("logo_url", "dark_logo_url"))
        color = _color(settings.get("color")) or _color(defaults["color"]) or "#000000"
        email = settings.get("support_email") or defaults["support_email"]
        company = str(settings.get("company") or defaults["company"])
        return cls(
            name=untrusted.line(settings.get("name"), untrusted.NAME_LENGTH)
            or untrusted.name(hints.get("name"))
            or fallback,
            logo_url=logo,
            dark_logo_url=dark_logo,
            company=tuple(filter(None, map(untrusted.line, company.splitlines()[:MAX_COMPANY_LINES]))),
            support_url=untrusted.link(settings.get("support_url") or defaults["support_url"]),
            support_email=email if isinstance(email, str) and is_address(email) else "",
            account_url=untrusted.link(settings.get("account_url") or defaults["account_url"]),
            request_context=settings.get("request_context") == "true",
            code_in_subject=settings.get("code_in_subject") == "true",
            text_only=settings.get("text_only") == "true",
            font=defaults["font"],
            light=_palette(defaults["light"], color),
            dark=_palette(defaults["dark"], color),
        )


def _logo(address: Any) -> str:
    """Return the address of a logo that mail clients show: Gmail and Outlook show no SVG (caniemail.com, 2026-05)."""
    url = untrusted.image(address)
    return "" if url.partition("?")[0].partition("#")[0].lower().endswith((".svg", ".svgz")) else url


def _palette(neutral: Mapping[str, str], color: str) -> Palette:
    card = neutral["card"]
    if _is_invisible_on(card, color):
        # Mixed with gray, a black brand at night and a white one by day would look like a disabled button.
        ink = neutral["text"]
        button = ink if _ink_on(card) == "#ffffff" else color
        return Palette(
            **neutral,
            link=ink,
            page_link=ink,
            button=button,
            button_edge=readable(button, card, VISIBLE_CONTRAST),
            button_text=_ink_on(button),
        )
    # On white a button has exactly the brand's color, with an edge where needed; on black it must be visible first.
    button = color if _ink_on(card) == "#000000" else readable(color, card, VISIBLE_CONTRAST)
    return Palette(
        **neutral,
        link=readable(color, card),
        page_link=readable(color, neutral["page"]),
        button=button,
        button_edge=readable(button, card, VISIBLE_CONTRAST),
        button_text=_ink_on(button),
    )


def _color(value: Any) -> str:
    match = isinstance(value, str) and COLOR.fullmatch(value.strip())
    if not match:
        return ""
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))


def contrast(color: str, ground: str) -> float:
    """Return the contrast ratio of two colors by WCAG, from 1 to 21."""
    darker, lighter = sorted((_luminance(color), _luminance(ground)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=256)
def readable(color: str, ground: str, minimum: float = READABLE_CONTRAST) -> str:
    """Return `color`, mixed with as little black or white as gives it the minimum contrast with `ground`."""
    ink = _ink_on(ground)
    for share in range(0, 101, 4):
        mixed = _mix(color, ink, share / 100)
        if contrast(mixed, ground) >= minimum:
            return mixed
    return ink


@lru_cache(maxsize=256)
def _ink_on(ground: str) -> str:
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, ground))


def _is_invisible_on(ground: str, color: str) -> bool:
    """Return whether a color is a gray close to the ground: that of a black brand at night, of a white one by day."""
    channels = _channels(color)
    return max(channels) - min(channels) < MAX_GREY_CHROMA and contrast(color, ground) < MIN_GREY_CONTRAST


def _channels(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def _luminance(color: str) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in _channels(color))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(color: str, ink: str, share: float) -> str:
    pairs = zip(_channels(color), _channels(ink), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
