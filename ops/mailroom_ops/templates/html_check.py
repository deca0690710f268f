"""Checks of a mail's HTML that need no tool: links and pictures that clients refuse, and text that is hard to read."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from mailroom.rendering.brand import contrast

__all__ = ["check_colors", "check_links"]

READABLE_CONTRAST = 4.5  # WCAG 2.2 AA
LARGE_CONTRAST = 3.0  # of text from 24 px on
LARGE_PX = 24.0
STYLE = re.compile(r"(?:^|;)\s*(color|background(?:-color)?|font-size|display)\s*:\s*([^;!]+)")
HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})\b", re.IGNORECASE)
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
NOT_SHOWN = frozenset({"head", "style", "title", "script"})
FORBIDDEN_TAGS = frozenset({"script", "form", "iframe", "object", "embed", "video", "audio"})


def check_links(html: str) -> list[str]:
    """Return the links, pictures and elements that mail clients refuse, each as a sentence."""
    reader = _Reader()
    reader.feed(html)
    return list(dict.fromkeys(_faults(reader.tags)))


def check_colors(html: str) -> list[str]:
    """Return the texts of low contrast, as far as inline styles with #rrggbb colors tell, each as a sentence."""
    reader = _Reader()
    reader.feed(html)
    return list(dict.fromkeys(reader.faint))


def _faults(tags: "list[tuple[str, dict[str, str]]]") -> Iterator[str]:
    for tag, attributes in tags:
        if tag in FORBIDDEN_TAGS:
            yield f"mail clients remove <{tag}>"
        if (href := attributes.get("href", "").strip()) and tag == "a" and not href.startswith(("https://", "mailto:")):
            yield f"a link is not https: {href[:60]}"
        if tag == "img":
            if not attributes.get("src", "").startswith(("https://", "cid:")):
                yield f"a picture is not https: {attributes.get('src', '')[:60]}"
            if "alt" not in attributes:
                yield "a picture has no alt text"


class _Reader(HTMLParser):
    """Walks through the elements with the colors that they inherit."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.faint: list[str] = []
        self._open: list[tuple[str, str, str, float, bool]] = [("", "#000000", "#ffffff", 16.0, True)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag in VOID:
            return
        _, color, ground, size, is_shown = self._open[-1]
        for name, value in STYLE.findall(attributes.get("style", "")):
            digits = HEX.search(value)
            if name == "color" and digits:
                color = digits[0]
            elif name.startswith("background") and digits:
                ground = digits[0]
            elif name == "font-size" and value.strip().endswith("px"):
                size = float(value.strip().removesuffix("px"))
            elif name == "display":
                is_shown = is_shown and value.strip() != "none"
        if HEX.fullmatch(attributes.get("bgcolor", "")):
            ground = attributes["bgcolor"]
        self._open.append((tag, color, ground, size, is_shown and tag not in NOT_SHOWN))

    def handle_endtag(self, tag: str) -> None:
        opened = [entry[0] for entry in self._open]
        if tag in opened[1:]:
            del self._open[len(opened) - 1 - opened[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        _, color, ground, size, is_shown = self._open[-1]
        if not (is_shown and data.strip()):
            return
        ratio = contrast(_long(color), _long(ground))
        if ratio < (LARGE_CONTRAST if size >= LARGE_PX else READABLE_CONTRAST):
            text = " ".join(data.split())[:30]
            self.faint.append(f"{color} on {ground} has a contrast of {ratio:.1f}: “{text}”")


def _long(color: str) -> str:
    digits = color.removeprefix("#").lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))
