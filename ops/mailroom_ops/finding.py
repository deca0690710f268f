"""The finding of a check, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "failed", "ok", "warning"]


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # mail is delivered, but an operator should act
    FAILED = "failed"  # mail is not sent, or does not reach the inbox


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: the subject of a check, its state, and what to do."""

    level: Level
    subject: str
    state: str
    todo: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the finding in the form of `--json`."""
        return {"level": self.level, "subject": self.subject, "says": self.state, "todo": self.todo}


def ok(subject: str, state: str) -> Finding:
    return Finding(Level.OK, subject, state)


def warning(subject: str, state: str, todo: str = "") -> Finding:
    return Finding(Level.WARNING, subject, state, todo)


def failed(subject: str, state: str, todo: str = "") -> Finding:
    return Finding(Level.FAILED, subject, state, todo)
