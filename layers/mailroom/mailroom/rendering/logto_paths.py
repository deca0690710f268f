"""The values that Logto's own templates write as `{{a.b}}`, read from a message's data.

A path reaches into objects and lists; a missing value is empty; objects and lists print as in JavaScript.
Only the data itself can be read: no prototypes, no methods (connector-kit 5.1.1, observed 2026-08).
"""

from collections.abc import Mapping
from typing import Any

from mailroom import untrusted
from mailroom.model.mailbox import is_address

__all__ = ["read"]

LINK_SUFFIXES = ("link", "url", "uri", "avatar", "favicon", "website")


def read(data: Mapping[str, Any], path: str) -> str:
    """Return the value at a path, cleaned for a mail: a web address where its name means one, else text."""
    value: Any = data
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ""
    leaf, text = path.rpartition(".")[2].lower(), _as_javascript(value)
    if leaf.endswith(LINK_SUFFIXES):
        return untrusted.link(text)
    if leaf == "code":
        return untrusted.code(text)
    if leaf.endswith("email") and is_address(text):
        return text
    return untrusted.name(text, _max_length(path))


def _max_length(path: str) -> int:
    if path.startswith("inviter"):
        return untrusted.INVITER_LENGTH
    return untrusted.NAME_LENGTH if path.startswith("organization") else untrusted.LINE_LENGTH


def _as_javascript(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(map(_as_javascript, value))
        case Mapping():
            return "[object Object]"
    return str(value)
