"""Responses of pages: static files, JSON, their security headers, and a mail as a page of its own."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mailroom_ops.web.server import Response

__all__ = ["asset", "headers", "json_answer", "last_values", "mail_page"]

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A mail gets its own page and policy: in a srcdoc it would inherit ours, which forbids its inline styles.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: {images}; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
PREFERENCE = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


def asset(name: str, folder: Path) -> Response | None:
    """Return a style sheet, script or picture of a folder; None where there is none of this name."""
    path = folder / name
    if path.suffix not in TYPES or path.parent != folder or not path.is_file():
        return None
    return Response(200, path.read_bytes(), headers(f"{TYPES[path.suffix]}; charset=utf-8"))


def json_answer(value: Any) -> Response:
    """Return a value as JSON."""
    return Response(200, json.dumps(value, ensure_ascii=False).encode(), headers("application/json"))


def mail_page(html: str, options: dict[str, str], *, is_measured: bool = False) -> Response:
    """Return a mail as a page; options are `scheme` (light or dark) and `images` (load remote images).

    With `is_measured`, the page around it may read its height: for samples, which contain no text of strangers. Scripts
    do not run either way.
    """
    policy = MAIL_POLICY.format(images="https: http:" if options.get("images") else "")
    if is_measured:
        policy += " allow-same-origin"
    body = force_scheme(html, options.get("scheme", "light")).encode()
    return Response(200, body, headers("text/html; charset=utf-8", policy))


def force_scheme(html: str, scheme: str) -> str:
    """Return a mail as it looks on a light or a dark device; its links open outside the frame."""
    other = "light" if scheme == "dark" else "dark"
    queries = {scheme: "(min-width:0)", other: "(max-width:0)"}
    forced = PREFERENCE.sub(lambda match: queries.get(match[1].lower(), "(max-width:0)"), html)
    head = '<base target="_blank">'
    if "color-scheme" in html:
        head += f"<style>:root{{color-scheme:{'dark' if scheme == 'dark' else 'light'} !important}}</style>"
    return HEAD.sub(lambda match: match[0] + head, forced, count=1) if HEAD.search(forced) else head + forced


def last_values(query: str) -> dict[str, str]:
    """Parse a query string; of a repeated parameter, keep the last value."""
    return {key: values[-1] for key, values in parse_qs(query).items()}


def headers(content_type: str, policy: str = PAGE_POLICY) -> tuple[tuple[str, str], ...]:
    """Return the headers of our own pages and files."""
    return (
        ("content-type", content_type),
        ("content-security-policy", policy),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    )
