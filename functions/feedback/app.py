"""Placeholder that says so."""

from typing import Any

from mailroom.request import refuse


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return refuse(501, "This door is not open yet.")
