"""How what a check found looks on a screen."""

import json
from collections.abc import Iterable, Sequence

from mailroom_ops.cli import screen
from mailroom_ops.finding import Finding, Level

__all__ = ["line", "show", "sum_up"]

COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


def show(found: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings one below the other, and how many are of which kind."""
    if as_json:
        screen.emit(json.dumps([one.to_json() for one in found], ensure_ascii=False))
        return
    for one in found:
        line(one)
    sum_up(found)


def line(one: Finding) -> None:
    word = screen.colored(one.level.ljust(8), COLORS[one.level], bold=one.level is not Level.OK)
    screen.hanging(word, f"{one.subject}: {one.state}", 8)
    if one.todo:
        screen.hanging(" " * 8, f"→ {one.todo}", 10)


def sum_up(found: Iterable[Finding]) -> None:
    levels = [one.level for one in found]
    counts = {level: levels.count(level) for level in Level}
    parts = [screen.colored(f"{count} {level}", COLORS[level]) for level, count in counts.items() if count]
    screen.say()
    screen.emit(", ".join(parts))
