"""Logos inside a tenant's mails (CID), for readers whose mail clients load no pictures from the web.

They are files beside the tenant's templates, because no function loads a tenant's address while somebody waits for a
code. The brand's `inline_logo` switches them on.
"""

import hashlib
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from mailroom.model.email import InlineImage
from mailroom.rendering.brand import Brand

__all__ = ["MAX_LOGO_BYTES", "place_logos", "usable_logos"]

MAX_LOGO_BYTES = 20_000  # of all together: a mail with them stays below 60 kB
# By the suffix of their file: the media type, and the first characters in base64.
FORMATS = {"png": ("image/png", "iVBORw0KGg"), "jpg": ("image/jpeg", "/9j/")}


def usable_logos(files: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return those of a tenant's logos that mails can contain, and the problems of the others."""
    sizes = {name: _picture_size(name, content) for name, content in sorted(files.items())}
    problems = [f"{name}: not a {_suffix(name).upper()} picture" for name, size in sizes.items() if not size]
    logos = {name: files[name] for name, size in sizes.items() if size}
    if sum(sizes.values()) > MAX_LOGO_BYTES:
        return {}, [*problems, f"{', '.join(logos)}: more than {MAX_LOGO_BYTES // 1000} kB"]
    return logos, problems


def place_logos(brand: Brand, logos: Mapping[str, str]) -> tuple[Brand, tuple[InlineImage, ...]]:
    """Return a brand whose logos refer to pictures inside the mail, and these pictures."""
    light, dark = (
        next((_image(name, logos[name], url) for name in (f"{stem}.png", f"{stem}.jpg") if name in logos), None)
        for stem, url in (("logo", brand.logo_url), ("logo-dark", brand.dark_logo_url))
    )
    placed = replace(
        brand,
        logo_url=f"cid:{light.cid}" if light else brand.logo_url,
        dark_logo_url=f"cid:{dark.cid}" if dark else brand.dark_logo_url,
    )
    return placed, tuple(image for image in (light, dark) if image)


@lru_cache(16)
def _image(name: str, content: str, url: str) -> InlineImage:
    """Return a logo as a picture of a mail; other bytes have another content id, by which clients cache pictures."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return InlineImage(f"{name}@{digest}", FORMATS[_suffix(name)][0], content, url)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]


def _picture_size(name: str, content: str) -> int:
    """Return the bytes of a picture of the format that its name promises; 0 for anything else."""
    try:
        size = len(a2b_base64(content.encode(), strict_mode=True))
    except ValueError:
        return 0
    return size if content.startswith(FORMATS[_suffix(name)][1]) else 0
