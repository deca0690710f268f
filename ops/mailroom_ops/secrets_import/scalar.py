"""One value of an imported file."""

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Kind", "Scalar"]


class Kind(StrEnum):
    """The kinds of value that a reader of the file may see in it, in the words of an error."""

    TEXT = "text"
    EMPTY = "nothing"
    BOOLEAN = "true or false"
    NUMBER = "a number"
    TIMESTAMP = "a timestamp"
    REFERENCE = "a reference to another variable"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as it is written, its line, and its kind."""

    text: str = field(repr=False)
    line: int
    kind: Kind = Kind.TEXT
