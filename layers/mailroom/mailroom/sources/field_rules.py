"""The rules for single values of a request, with and without pydantic."""

from typing import Any

from mailroom import untrusted
from mailroom.model.kinds import NAME
from mailroom.untrusted import LOCALE_TAG

__all__ = [
    "MAX_KEY_LENGTH",
    "MAX_LIFETIME_SECONDS",
    "MAX_LOCALES",
    "MAX_TITLE_LENGTH",
    "is_code",
    "is_event",
    "is_fact",
    "is_link",
    "is_name",
    "is_tag",
    "to_integer",
    "to_pairs",
    "to_paragraphs",
    "to_tags",
]

MAX_LOCALES = 20
MAX_TITLE_LENGTH = 200
MAX_KEY_LENGTH = 255
MAX_LIFETIME_SECONDS = 7 * 24 * 3600


def is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text))


def is_tag(text: str) -> bool:
    return bool(LOCALE_TAG.fullmatch(text))


def is_code(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= untrusted.CODE_LENGTH and value.isprintable()


def is_link(value: Any) -> bool:
    return isinstance(value, str) and bool(untrusted.link(value))


def is_event(value: Any) -> bool:
    return isinstance(value, str | dict)


def is_fact(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def to_integer(value: Any) -> Any:
    """Return a whole number as an integer: in JSON, 60.0 is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_tags(value: Any) -> Any:
    """Return one language tag as a list."""
    return [value] if isinstance(value, str) else value


def to_paragraphs(value: Any) -> Any:
    """Return a text as the list of its paragraphs."""
    return value.split("\n\n") if isinstance(value, str) else value


def to_pairs(value: Any) -> Any:
    """Return an object as the list of its names and values."""
    return [list(pair) for pair in value.items()] if isinstance(value, dict) else value
