"""The key figures: each with its change since the period before, and whether the change is for the better."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailroom_ops.ledger.stats import LIMITS, NOT_SENT, Counts

__all__ = ["Figure", "figures", "percent"]

NOTABLE_CHANGE = 0.1  # relative to the figure before, or to the provider's limit; smaller changes get no color
UNCHANGED_BELOW = 0.005
NOTHING_BEFORE = "–"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its change; `tone` is better, worse or empty."""

    name: str
    value: str
    change: str
    tone: str = ""
    is_over: bool = False


def figures(whole: Counts, before: Counts) -> Iterator[Figure]:
    """Yield the figures of a period, compared with the period before."""
    yield _count("sent", whole.of("sent"), before.of("sent"))
    for name in ("delivered", "bounced", "complained"):
        share, previous = whole.rate(name, *whole.reporting), before.rate(name, *before.reporting)
        if not whole.reporting or share is None:
            yield Figure(name, "–", "no reports")
            continue
        is_over = whole.is_over(name)
        if previous is None:
            yield Figure(name, percent(share), NOTHING_BEFORE, is_over=is_over)
            continue
        points = round((share - previous) * 100, 2)
        change = f"{points:+.2f} points".replace("-", "−") if points else "unchanged"
        threshold = LIMITS.get(name, LIMITS["bounced"]).share * 100 * NOTABLE_CHANGE
        tone = _tone(points, is_good=name == "delivered") if abs(points) >= threshold else ""
        yield Figure(name, percent(share), change, tone, is_over)
    for name in NOT_SENT:
        yield _count(name, whole.of(name), before.of(name), is_good=False)


def _count(name: str, number: int, previous: int, *, is_good: bool | None = None) -> Figure:
    """Return the figure of a count; `is_good` states whether more of it is better, None for neither."""
    if number == previous == 0:
        return Figure(name, "0", NOTHING_BEFORE)
    if number == previous or (previous and abs(number - previous) / previous < UNCHANGED_BELOW):
        return Figure(name, f"{number:,}", "unchanged")
    if not previous:
        return Figure(name, f"{number:,}", NOTHING_BEFORE)
    change = (number - previous) / previous
    text = f"{number / previous:.0f} times" if change > 9 else f"{change:+.0%}".replace("-", "−").replace("%", " %")
    return Figure(name, f"{number:,}", text, _tone(change, is_good=is_good) if abs(change) >= NOTABLE_CHANGE else "")


def _tone(change: float, *, is_good: bool | None) -> str:
    if is_good is None or not change:
        return ""
    return "better" if (change > 0) == is_good else "worse"


def percent(share: float) -> str:
    """Format a share, with two decimals below one percent."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{share * 100:.2f} %" if share < 0.01 else f"{share * 100:.1f} %"
