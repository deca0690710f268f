"""Read a .env file: `NAME=value`, quoted or not, with line numbers. Nothing is expanded and no shell runs."""

import re
from io import StringIO

from dotenv.parser import parse_stream

from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import.scalar import Kind, Scalar

__all__ = ["read"]

NAME = re.compile(r"\s*(?:export\s+)?([^=#\s]+)\s*=")
SINGLE_QUOTED = re.compile(r"[^=]*=\s*'")
REFERENCE = re.compile(r"\$[{(A-Za-z_]")  # what a shell would expand


def read(text: str, name: str) -> dict[str, Scalar]:
    """Return the values that a file sets, by their names as they are written."""
    values: dict[str, Scalar] = {}
    faults = []
    for binding in parse_stream(StringIO(text)):
        source = binding.original.string
        line = binding.original.line + source[: len(source) - len(source.lstrip())].count("\n")
        if binding.error or (binding.key and binding.value is None):
            written = NAME.match(source)
            faults.append(
                f"line {line}: {written[1] if written else 'it'} is not of the form NAME=value, with quotes that end"
            )
        elif not binding.key:
            continue  # a comment
        elif binding.key in values:
            faults.append(f"line {line}: {binding.key} stands twice, first in line {values[binding.key].line}")
        else:
            value = binding.value or ""
            is_reference = REFERENCE.search(value) and not SINGLE_QUOTED.match(source)
            values[binding.key] = Scalar(value, line, Kind.REFERENCE if is_reference else Kind.TEXT)
    if faults:
        raise InvalidInput(f"{name} cannot be imported as it is.", details=faults)
    return values
