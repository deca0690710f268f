"""A plain layout around texts that an auth server has translated itself, for mails that are not from our templates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from mailroom import untrusted
from mailroom.rendering.brand import contrast

__all__ = ["PlainMail"]

COLOR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)
COLORS: Mapping[str, str] = {"primary": "#1f2937", "background": "#f4f4f5", "text": "#18181b"}


@dataclass(frozen=True, slots=True)
class PlainMail:
    """The texts of a mail, none of them HTML: each is escaped. Empty ones are left out."""

    title: str
    paragraphs: tuple[str, ...]
    url: str
    label: str
    footer: str
    logo_url: str
    colors: Mapping[str, str]

    @property
    def text(self) -> str:
        button = f"{self.label}: {self.url}" if self.label and self.url else self.url
        return "\n\n".join(filter(None, (*self.paragraphs, button, self.footer))) + "\n"

    @property
    def html(self) -> str:
        background, color = self._color("background"), self._color("text")
        parts = [
            self._logo(),
            _element("h1", self.title, "font-size:22px;line-height:28px;margin:0 0 16px"),
            *(_element("p", part, "margin:0 0 16px;white-space:pre-line") for part in self.paragraphs),
            self._button(),
            _element("p", self.footer, "font-size:13px;opacity:.75;margin:24px 0 0"),
        ]
        font = "font:16px/24px -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
        return (
            "<!doctype html>\n"
            '<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(self.title)}</title></head>\n"
            f'<body style="margin:0;padding:24px 12px;background:{background};color:{color}">\n'
            f'<div dir="auto" style="max-width:560px;margin:0 auto;{font}">\n' + "\n".join(filter(None, parts)) + "\n"
            "</div></body></html>\n"
        )

    def _color(self, name: str) -> str:
        value = self.colors.get(name, "")
        return value if COLOR.fullmatch(value) else COLORS[name]

    def _logo(self) -> str:
        url = untrusted.image(self.logo_url)
        style = "display:block;max-height:48px;max-width:240px;margin:0 0 24px"
        return f'<img src="{escape(url)}" alt="" style="{style}">' if url else ""

    def _button(self) -> str:
        url = untrusted.link(self.url)
        if not url:
            return ""
        primary = self._color("primary")
        text = max(("#ffffff", "#000000"), key=lambda color: contrast(color, primary))
        shape = "display:inline-block;padding:12px 24px;border-radius:6px;text-decoration:none;font-weight:600"
        style, label = f"{shape};background:{primary};color:{text}", escape(self.label or url)
        return f'<p style="margin:24px 0"><a href="{escape(url)}" style="{style}">{label}</a></p>'


def _element(name: str, text: str, style: str) -> str:
    return f'<{name} style="{style}">{escape(text)}</{name}>' if text else ""
