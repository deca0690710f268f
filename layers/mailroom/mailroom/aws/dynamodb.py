"""Values in DynamoDB's JSON, and back."""

from collections.abc import Mapping
from typing import Any

__all__ = ["decode", "decode_item", "encode"]


def encode(value: Any) -> dict[str, Any]:
    """Return a value as DynamoDB writes it."""
    match value:
        case str():
            return {"S": str(value)}  # of an enumeration its value
        case int() | float():
            return {"N": repr(value)}
        case list():
            return {"L": [encode(item) for item in value]}
        case dict():
            return {"M": {name: encode(item) for name, item in value.items()}}
        case frozenset():
            return {"SS": sorted(value)}
    raise TypeError(f"the ledger holds no {type(value).__name__}")


def decode(value: Mapping[str, Any]) -> Any:
    """Return what DynamoDB wrote as a value."""
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return float(inner)
        case "L":
            return [decode(item) for item in inner]
        case "M":
            return decode_item(inner)
        case "SS":
            return frozenset(inner)
    return inner


def decode_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decode(value) for name, value in item.items()}
