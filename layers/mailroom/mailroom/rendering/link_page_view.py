"""The HTML of the link page: in the reader's language and the tenant's brand, with nothing from any other server."""

import hashlib
import re
import tomllib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minijinja import Environment

from mailroom.rendering.brand import Brand
from mailroom.rendering.link_page import LinkPage
from mailroom.rendering.locales import negotiate
from mailroom.rendering.texts import Texts, fill
from mailroom.untrusted import LOCALE_TAG, isolate

__all__ = ["LinkPageView"]

TEMPLATE = "link-page.html"
INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
TEXTS = {"heading": "page_heading", "text": "page_text", "note": "page_note", "script": "page_script"}
TEXTS |= {"refused": "page_refused", "button": "button"}


@dataclass(frozen=True, slots=True)
class Page:
    """The HTML of a page, and the Content-Security-Policy that allows its own script and style and nothing else."""

    html: str
    policy: str


class LinkPageView:
    """Renders the page with the template and the languages of one folder; made once a process."""

    def __init__(self, templates_dir: Path) -> None:
        self._folder = templates_dir
        self._texts: dict[str, Texts] = {}
        self._engine = Environment(templates={TEMPLATE: (templates_dir / TEMPLATE).read_text("utf-8")}, debug=False)

    def render(self, page: LinkPage, brand: Mapping[str, str], tags: Sequence[str]) -> Page:
        """Return the page in the first available language of `tags`, which strangers may have chosen."""
        texts = self._texts_for([tag for tag in tags if LOCALE_TAG.fullmatch(tag)])
        host = urlsplit(page.url).hostname or ""
        colors = Brand.of(brand, {}, self._defaults, host)
        name = isolate(colors.name, rtl=texts.direction == "rtl")
        sentences = {key: fill(texts.sentence("common", stored), {"brand": name}) for key, stored in TEXTS.items()}
        html = self._engine.render_template(
            TEMPLATE, lang=texts.locale, dir=texts.direction, brand=colors, hosts=" ".join(page.hosts), **sentences
        )
        return Page(html, _policy(html))

    @cached_property
    def _locales(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in (self._folder / "locales").glob("*.toml")))

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return tomllib.loads((self._folder / "brand.toml").read_text("utf-8"))

    def _texts_for(self, tags: Sequence[str]) -> Texts:
        locale = negotiate(tags, self._locales)
        if locale not in self._texts:
            self._texts[locale] = Texts.read(self._folder / "locales" / f"{locale}.toml")
        return self._texts[locale]


def _policy(html: str) -> str:
    hashes: dict[str, str] = {}
    for kind, content in INLINE.findall(html):
        digest = b64encode(hashlib.sha256(content.encode()).digest()).decode()
        hashes[kind] = f"{kind}-src 'sha256-{digest}'"
    rest = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return "; ".join((*rest, *hashes.values()))
