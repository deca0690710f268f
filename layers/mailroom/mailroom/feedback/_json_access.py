"""Reading the JSON of providers: an authenticated report is worth reading even where a field of it is malformed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailroom.errors import RequestError
from mailroom.request import Request, parse_json

__all__ = ["bare_address", "body_of", "get", "iso_time", "own_header", "text", "unix_time"]

MAX_TEXT_LENGTH = 320  # an address takes 254
MAX_UNIX_TIME = 253402300799.0  # the end of the year 9999


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of an authenticated request."""
    body = parse_json(request.body)
    if not isinstance(body, dict):
        raise RequestError(400, "This is not a report: it must be a JSON object.")
    return body


def get(value: Any, *path: str) -> Any:
    """Return the value at the end of a path of names, or None where the path ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: Any, *path: str) -> str:
    """Return the short text at the end of a path, or an empty text for any other value."""
    leaf = get(value, *path)
    return leaf if isinstance(leaf, str) and len(leaf) <= MAX_TEXT_LENGTH else ""


def own_header(value: Any, name: str) -> str:
    """Return our own header from a list of a mail's headers: mails through an SMTP relay carry our ids in them."""
    headers = value if isinstance(value, list) else []
    own_name = f"x-mailroom-{name}"
    return next((text(header, "value") for header in headers if text(header, "name").lower() == own_name), "")


def iso_time(value: Any, *path: str, default: float) -> float:
    """Return the time at the end of a path, written as `2026-11-20T19:13:28.250Z`."""
    try:
        moment = datetime.fromisoformat(text(value, *path))
    except ValueError:
        return default
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def unix_time(value: Any, *path: str, default: float) -> float:
    """Return the time at the end of a path, in seconds or milliseconds since the epoch, as a number or as text."""
    try:
        seconds = float(get(value, *path))
    except (TypeError, ValueError, OverflowError):
        return default
    seconds = seconds / 1000 if seconds > 1e11 else seconds
    return seconds if 0 < seconds < MAX_UNIX_TIME else default


def bare_address(value: str) -> str:
    """Return the address in `Ada <ada@example.com>`."""
    return value.rpartition("<")[2].rstrip("> ")
