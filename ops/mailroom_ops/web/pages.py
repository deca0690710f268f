"""What every page is served with: its files, its policies, and a mail in a page of its own."""

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
# The mail gets a page and a policy of its own: in a srcdoc it would inherit ours, which forbids its inline styles.
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


def mail_page(html: str, options: dict[str, str]) -> Response:
    """Return a mail as a page: `scheme` light or dark, `images` if it may fetch them."""
    policy = MAIL_POLICY.format(images="https: http:" if options.get("images") else "")
    seen = as_seen(html, options.get("scheme", "light")).encode()
    return Response(200, seen, headers("text/html; charset=utf-8", policy))


def as_seen(html: str, scheme: str) -> str:
    """Return a mail as a reader with a light or a dark device sees it, its links leading out of the frame."""
    other = "light" if scheme == "dark" else "dark"
    forced = {scheme: "(min-width:0)", other: "(max-width:0)"}
    seen = PREFERENCE.sub(lambda found: forced.get(found[1].lower(), "(max-width:0)"), html)
    head = '<base target="_blank">'
    if "color-scheme" in html:
        head += f"<style>:root{{color-scheme:{'dark' if scheme == 'dark' else 'light'} !important}}</style>"
    return HEAD.sub(lambda found: found[0] + head, seen, count=1) if HEAD.search(seen) else head + seen


def last_values(query: str) -> dict[str, str]:
    """Return the parameters of a query, each as it was said last."""
    return {key: values[-1] for key, values in parse_qs(query).items()}


def headers(content_type: str, policy: str = PAGE_POLICY) -> tuple[tuple[str, str], ...]:
    """Return the headers of everything that is ours."""
    return (
        ("content-type", content_type),
        ("content-security-policy", policy),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    )
