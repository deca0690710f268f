"""Dataclasses as JSON objects, for `json.dumps(…, default=fields_of)`."""

from typing import Any

__all__ = ["ADDED_LATER", "fields_of"]

ADDED_LATER = {"added_later": True}  # metadata of a field that processes of an earlier version do not read


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; unlike `asdict`, without a copy of all that they hold.

    A field that was ADDED_LATER is left out while it has its default: so both versions read it, and seal it alike.
    """
    fields = value.__dataclass_fields__.items()
    values = {name: getattr(value, name) for name, _ in fields}
    for name, field in fields:
        if field.metadata and values[name] == field.default:
            del values[name]
    return values
