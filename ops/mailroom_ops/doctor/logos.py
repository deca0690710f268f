"""Check the logos of brands from this machine: can they be reached, and do mail clients show them well?"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from mailroom.model.json_settings import json_object
from mailroom_ops.doctor import Context
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.templates.picture import Picture, read_picture
from mailroom_ops.tls import ssl_context

__all__ = ["check", "check_logo"]

TIMEOUT_SECONDS = 10.0
MAX_CONCURRENT_CHECKS = 8
MAX_BYTES = 100_000
SHOWN_HEIGHT = 36  # pixels, in layout.html; a phone has two or three for each of them
MAX_RATIO = 8  # a wider one is squeezed on a phone
DARK_INK = 100  # of 255
LIGHT_INK = 200
NOT_SHOWN = {"SVG": "Gmail and Outlook show none", "WebP": "Outlook for Windows shows none"}


def check(context: Context) -> Iterator[Finding]:
    """Check every logo once, whatever number of tenants have it."""
    brands: dict[str, Mapping[str, object]] = {
        name.partition("/")[2]: json_object(value) or {}
        for name, value in context.values.items()
        if name.startswith("brands/")
    }
    logos = {
        (url, key): name
        for name, brand in reversed(brands.items())
        for key in ("logo_url", "dark_logo_url")
        if isinstance(url := brand.get(key), str) and url
    }
    if not logos:
        yield ok("logos", "no brand has one")
        return
    with ThreadPoolExecutor(MAX_CONCURRENT_CHECKS) as pool:
        checks = [pool.submit(_check, name, key, brands[name]) for (_, key), name in logos.items()]
        for finding in checks:
            yield finding.result()


def _check(tenant: str, key: str, brand: Mapping[str, object]) -> Finding:
    has_dark = bool(brand.get("dark_logo_url"))
    subject = f"brands/{tenant} {key}"
    return check_logo(subject, str(brand[key]), is_for_dark=key == "dark_logo_url", has_dark=has_dark)


def check_logo(subject: str, url: str, *, is_for_dark: bool, has_dark: bool) -> Finding:
    """Load a logo as a mail client does, and return what is wrong with it."""
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_SECONDS, verify=ssl_context(), follow_redirects=True) as response:
            if response.status_code != 200:
                state = f"is not there: {url} answers with {response.status_code}"
                return failed(subject, state, "Upload it, or remove it from the brand.")
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > 10 * MAX_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        todo = "Mail clients get it from the internet: check its host name and certificate."
        return failed(subject, f"cannot be reached at {url}: {type(error).__name__}", todo)
    picture = read_picture(content)
    if picture is None:
        return failed(subject, f"is no picture: {url}", "Use the address of a PNG or JPEG.")
    return _judge(subject, picture, len(content), is_for_dark=is_for_dark, has_dark=has_dark)


def _judge(subject: str, picture: Picture, size: int, *, is_for_dark: bool, has_dark: bool) -> Finding:
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
