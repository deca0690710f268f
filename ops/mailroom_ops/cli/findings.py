"""Print the findings of checks."""

import json
from collections.abc import Iterable, Sequence

from mailroom_ops.cli import screen
from mailroom_ops.finding import Finding, Level

__all__ = ["line", "show", "sum_up"]

COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


def show(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings and their number by level."""
    if as_json:
        screen.emit(json.dumps([finding.to_json() for finding in findings], ensure_ascii=False))
        return
    for finding in findings:
        line(finding)
    sum_up(findings)


def line(finding: Finding) -> None:
    word = screen.colored(finding.level.ljust(8), COLORS[finding.level], bold=finding.level is not Level.OK)
    screen.hanging(word, f"{finding.subject}: {finding.state}", 8)
    if finding.todo:
        screen.hanging(" " * 8, f"→ {finding.todo}", 10)


def sum_up(findings: Iterable[Finding]) -> None:
    levels = [finding.level for finding in findings]
    counts = {level: levels.count(level) for level in Level}
    parts = [screen.colored(f"{count} {level}", COLORS[level]) for level, count in counts.items() if count]
    screen.say()
    screen.emit(", ".join(parts))
