"""Reading what providers write, whatever they write: a report that is proven is worth reading even where it is odd."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailroom.errors import RequestError
from mailroom.request import Request, parse_json

__all__ = ["address_in", "body_of", "dig", "header_of_ours", "moment", "seconds", "text"]

LONGEST_TEXT = 320  # an address takes 254
LATEST = 253402300799.0  # the end of the year 9999


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request that is proven."""
    body = parse_json(request.body)
    if not isinstance(body, dict):
        raise RequestError(400, "This is not a report: it must be a JSON object.")
    return body


def dig(value: Any, *path: str) -> Any:
    """Return what lies at the end of a path of names; nothing where it breaks off."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: Any, *path: str) -> str:
    """Return a short text at the end of a path; empty for anything else."""
    found = dig(value, *path)
    return found if isinstance(found, str) and len(found) <= LONGEST_TEXT else ""


def header_of_ours(value: Any, name: str) -> str:
    """Return our own header from a list of a mail's: mails that went through an SMTP relay carry our ids there."""
    headers = value if isinstance(value, list) else []
    return next((text(one, "value") for one in headers if text(one, "name").lower() == f"x-mailroom-{name}"), "")


def moment(value: Any, *path: str, default: float) -> float:
    """Return the time that a text such as `2026-11-20T19:13:28.250Z` names."""
    try:
        found = datetime.fromisoformat(text(value, *path))
    except ValueError:
        return default
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def seconds(value: Any, *path: str, default: float) -> float:
    """Return a time in seconds since the epoch, also where it was written in milliseconds or as text."""
    try:
        found = float(dig(value, *path))
    except (TypeError, ValueError, OverflowError):
        return default
    found = found / 1000 if found > 1e11 else found
    return found if 0 < found < LATEST else default


def address_in(value: str) -> str:
    """Return the bare address in `Ada <ada@example.com>`."""
    return value.rpartition("<")[2].rstrip("> ")
