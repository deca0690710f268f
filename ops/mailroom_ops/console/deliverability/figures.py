"""The large numbers: what they are, how they have changed, and whether that is better or worse."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailroom_ops.ledger.stats import LIMITS, NOT_SENT, Counts

__all__ = ["Figure", "figures", "percent"]

WORTH_SAYING = 0.1  # a change by a tenth, of what was or of what is put up with, is better or worse


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, how it has changed, and whether that is better or worse."""

    name: str
    value: str
    change: str
    tone: str = ""
    is_over: bool = False


def figures(whole: Counts, before: Counts) -> Iterator[Figure]:
    yield _number("sent", whole.of("sent"), before.of("sent"))
    for what in ("delivered", "bounced", "complained"):
        now, was = whole.rate(what, *whole.reporting), before.rate(what, *before.reporting)
        if not whole.reporting or now is None:
            yield Figure(what, "–", "nothing reported")
            continue
        is_over = whole.is_over(what)
        if was is None:
            yield Figure(what, percent(now), "nothing before", is_over=is_over)
            continue
        points = round((now - was) * 100, 2)
        change = f"{points:+.2f} points".replace("-", "−") if points else "as before"
        matters = LIMITS.get(what, LIMITS["bounced"]).share * 100 * WORTH_SAYING
        tone = _tone(points, good=what == "delivered") if abs(points) >= matters else ""
        yield Figure(what, percent(now), change, tone, is_over)
    for what in NOT_SENT:
        yield _number(what, whole.of(what), before.of(what), good=False)


def _number(name: str, now: int, was: int, *, good: bool | None = None) -> Figure:
    if now == was or (was and abs(now - was) / was < 0.005):
        return Figure(name, f"{now:,}", "as before" if now else "none before either")
    if not was:
        return Figure(name, f"{now:,}", "none before", _tone(now, good=good))
    change = (now - was) / was
    said = f"{now / was:.0f} times" if change > 9 else f"{change:+.0%}".replace("-", "−").replace("%", " %")
    return Figure(name, f"{now:,}", said, _tone(change, good=good) if abs(change) >= WORTH_SAYING else "")


def _tone(change: float, *, good: bool | None) -> str:
    if good is None or not change:
        return ""
    return "better" if (change > 0) == good else "worse"


def percent(share: float) -> str:
    """Write a share as precisely as it matters."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{share * 100:.2f} %" if share < 0.01 else f"{share * 100:.1f} %"
