"""Read a .env file: `NAME=value`, quoted or not, with line numbers. No shell runs, and nothing is expanded."""

import re

from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import.yaml_file import Scalar

__all__ = ["REFERENCE", "read"]

REFERENCE = "reference"  # the kind of a value that a shell would expand
BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
NAME = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"', re.DOTALL)
SINGLE = re.compile(r"'(?P<text>[^']*)'")
BARE = re.compile(r"(?P<text>[^\n]*?)[ \t]*(?=[ \t]#|\n|$)")
EXPANDS = re.compile(r"(?<!\\)\$[{(A-Za-z_]")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(text: str, name: str) -> dict[str, Scalar]:
    """Return what a file sets, by the names as they are written."""
    text = text.replace("\r\n", "\n")
    found: dict[str, Scalar] = {}
    faults = []
    position = 0
    while position < len(text):
        if blank := BLANK.match(text, position):
            position = blank.end()
            continue
        line = text.count("\n", 0, position) + 1
        key, scalar, position = _assignment(text, position, line)
        if scalar is None:
            faults.append(f"line {line}: {key or 'it'} is not of the form NAME=value, with quotes that end")
        elif key in found:
            faults.append(f"line {line}: {key} stands twice, first in line {found[key].line}")
        else:
            found[key] = scalar
    if faults:
        raise InvalidInput(f"{name} cannot be read as it is.", details=faults)
    return found


def _assignment(text: str, position: int, line: int) -> tuple[str, Scalar | None, int]:
    """Read the assignment at `position`; return where the next line begins."""
    next_line = (text.find("\n", position) + 1) or len(text)
    name = NAME.match(text, position)
    if name is None:
        return "", None, next_line
    start = name.end()
    form = {'"': DOUBLE, "'": SINGLE}.get(text[start : start + 1], BARE)
    value = form.match(text, start)
    end = value and BLANK.match(text, value.end())
    if value is None or end is None:
        return name["name"], None, next_line
    kind = REFERENCE if form is not SINGLE and EXPANDS.search(value["text"]) else "str"
    said = (
        re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), value["text"])
        if form is DOUBLE
        else value["text"]
    )
    return name["name"], Scalar(said, line, kind), end.end()
