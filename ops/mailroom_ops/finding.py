"""What a check found, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "failed", "ok", "warning"]


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # mail goes out, but somebody should look
    FAILED = "failed"  # mail does not go out, or not to the inbox


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it stands, what to do."""

    level: Level
    subject: str
    says: str
    todo: str = ""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def ok(subject: str, says: str) -> Finding:
    return Finding(Level.OK, subject, says)


def warning(subject: str, says: str, todo: str = "") -> Finding:
    return Finding(Level.WARNING, subject, says, todo)


def failed(subject: str, says: str, todo: str = "") -> Finding:
    return Finding(Level.FAILED, subject, says, todo)
