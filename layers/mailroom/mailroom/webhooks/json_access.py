"""Reading JSON whose sender is authenticated: a request is worth reading even where a field of it is malformed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["accepted_languages", "any_time", "duration", "get", "iso_time", "text", "unix_time"]

MAX_TEXT_LENGTH = 320  # an address takes 254
MAX_DURATION_SECONDS = 366 * 24 * 3600.0
MAX_UNIX_TIME = 253402300799.0  # the end of the year 9999


def get(value: Any, *path: str) -> Any:
    """Return the value at the end of a path of names, or None where the path ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: Any, *path: str) -> str:
    """Return the short text at the end of a path, or an empty text for any other value."""
    leaf = get(value, *path)
    return leaf if isinstance(leaf, str) and len(leaf) <= MAX_TEXT_LENGTH else ""


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


def any_time(value: Any, *path: str) -> float | None:
    """Return the time at the end of a path, in ISO 8601, or in seconds or milliseconds since the epoch."""
    return iso_time(value, *path, default=unix_time(value, *path, default=0.0)) or None


def duration(value: Any, *path: str, unit_seconds: float = 1.0) -> float:
    """Return the duration at the end of a path in seconds; 0 for anything but a number of up to a year."""
    number = get(value, *path)
    if not isinstance(number, int | float) or not 0 < number <= MAX_DURATION_SECONDS / unit_seconds:
        return 0.0
    return number * unit_seconds


def accepted_languages(header: str) -> list[str]:
    """Return the languages of an Accept-Language header in their order, which browsers sort by preference."""
    return [part.partition(";")[0].strip() for part in header.split(",")]
