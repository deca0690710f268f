"""The format and size of a picture, and the brightness of its ink on a transparent ground."""

import struct
import zlib
from dataclasses import dataclass

__all__ = ["Picture", "read_picture"]

PNG = b"\x89PNG\r\n\x1a\n"
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of a JPEG; the others are tables
MAX_PIXELS = 400_000  # whose ink is measured; a logo has far fewer
OPAQUE = 128
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
