"""The format and size of a picture, the brightness of its ink on a transparent ground, and how mail clients show it."""

import struct
import zlib
from dataclasses import dataclass

from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["MAX_BYTES", "Picture", "judge", "read_picture"]

PNG = b"\x89PNG\r\n\x1a\n"
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of a JPEG; the others are tables
MAX_PIXELS = 400_000  # whose ink is measured; a logo has far fewer
OPAQUE = 128
MAX_BYTES = 100_000
SHOWN_HEIGHT = 36  # pixels, in layout.html; a phone has two or three for each of them
MAX_RATIO = 8  # a wider one is squeezed on a phone
DARK_INK = 100  # of 255
LIGHT_INK = 200
NOT_SHOWN = {"SVG": "Gmail and Outlook show none", "WebP": "Outlook for Windows shows none"}
CHANNELS = {4: 2, 6: 4}  # of PNG color types with transparency: gray and color


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture; `ink` is the mean brightness, 0 to 255, of what is not transparent, and None if all is opaque."""

    format: str
    width: int = 0
    height: int = 0
    ink: float | None = None


def read_picture(content: bytes) -> Picture | None:
    """Return what the bytes are; None for anything but a picture."""
    if content.startswith(PNG) and len(content) > 33:
        return _read_png(content)
    if content.startswith(b"\xff\xd8"):
        return _read_jpeg(content)
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return Picture("GIF", *struct.unpack("<HH", content[6:10]))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Picture("WebP")
    if b"<svg" in content[:2000].lower():
        return Picture("SVG")
    return None


def judge(subject: str, picture: Picture, size: int, *, is_for_dark: bool, has_dark: bool) -> Finding:
    """Return what is wrong with a logo of so many bytes."""
    if picture.format in NOT_SHOWN:
        return failed(subject, f"is a {picture.format}: {NOT_SHOWN[picture.format]}", "Use a PNG.")
    shape = f"{picture.format}, {picture.width} × {picture.height} pixels, {size / 1000:.0f} kB"
    if size > MAX_BYTES:
        return warning(subject, f"is large: {shape}", f"Every reader loads it: keep it below {MAX_BYTES // 1000} kB.")
    if picture.height and picture.width > MAX_RATIO * picture.height:
        todo = f"On a phone it is lower than {SHOWN_HEIGHT} pixels: use a logo up to {MAX_RATIO} times as wide as high."
        return warning(subject, f"is very wide: {shape}", todo)
    if 0 < picture.height < 2 * SHOWN_HEIGHT:
        todo = (
            f"It is shown {SHOWN_HEIGHT} pixels high, and screens have two or three for each: use {3 * SHOWN_HEIGHT}."
        )
        return warning(subject, f"is small, and looks blurred: {shape}", todo)
    if is_for_dark and picture.ink is not None and picture.ink < DARK_INK:
        return warning(subject, f"is dark on a transparent ground: {shape}", "Use a light one for dark mode.")
    if not is_for_dark and picture.ink is not None and picture.ink > LIGHT_INK:
        return warning(subject, f"is light on a transparent ground: {shape}", "It is shown on a light page.")
    if not is_for_dark and picture.ink is not None and picture.ink < DARK_INK:
        todo = (
            "Give it a ground of its own, or a light outline: Gmail and Outlook for Windows darken the page behind it"
        )
        todo += ", and do not show the dark logo." if has_dark else "."
        return warning(subject, f"is dark on a transparent ground: {shape}", todo)
    return ok(subject, f"is a {shape}")


def _read_jpeg(content: bytes) -> Picture:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker in START_OF_FRAME:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return Picture("JPEG", width, height)
        at += 2 + length
    return Picture("JPEG")


def _read_png(content: bytes) -> Picture:
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    picture = Picture("PNG", width, height)
    if color not in CHANNELS or depth != 8 or interlaced or width * height > MAX_PIXELS:
        return picture
    try:
        rows = _rows(zlib.decompress(_data(content)), width * CHANNELS[color], height, CHANNELS[color])
    except (zlib.error, IndexError):
        return picture
    step = CHANNELS[color]
    pixels = [row[at : at + step] for row in rows for at in range(0, len(row), step)]
    shown = [pixel for pixel in pixels if pixel[-1] >= OPAQUE]
    if not shown or len(shown) == len(pixels):
        return picture
    ink = sum(_brightness(pixel) for pixel in shown) / len(shown)
    return Picture("PNG", width, height, ink)


def _brightness(pixel: bytes) -> float:
    return 0.2126 * pixel[0] + 0.7152 * pixel[1] + 0.0722 * pixel[2] if len(pixel) == 4 else pixel[0]


def _data(content: bytes) -> bytes:
    """Return the compressed pixels of a PNG: its IDAT chunks."""
    at, parts = 8, []
    while at + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        if name == b"IDAT":
            parts.append(content[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(parts)


def _rows(data: bytes, length: int, height: int, step: int) -> list[bytes]:
    """Undo the filters of a PNG (https://www.w3.org/TR/png-3/#9Filters)."""
    rows, before = [], bytes(length)
    for number in range(height):
        start = number * (length + 1)
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for at in range(length):
            left, above = row[at - step] if at >= step else 0, before[at]
            corner = before[at - step] if at >= step else 0
            row[at] = (row[at] + _predicted(kind, left, above, corner)) & 0xFF
        before = bytes(row)
        rows.append(before)
    return rows


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    match kind:
        case 1:
            return left
        case 2:
            return above
        case 3:
            return (left + above) // 2
        case 4:
            estimate = left + above - corner
            return min((left, above, corner), key=lambda value: abs(estimate - value))
    return 0
