"""Dataclasses as JSON objects, for `json.dumps(…, default=fields_of)`."""

from typing import Any

__all__ = ["fields_of"]


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; unlike `asdict`, without a copy of all that they hold."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
