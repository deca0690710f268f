"""The geometry of charts, which templates/charts.html draws.

Horizontal positions are percentages, so that a chart is as wide as its container and its text keeps its size; vertical
ones are pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Bar", "Chart", "HoverArea", "Limit", "Scale", "Series", "Tick", "hover_areas", "lines", "stack"]

TOP = 14  # pixels above the highest grid line, for what is drawn on it
HEIGHT = 170
STEPS = (1, 2, 5, 10)
MAX_TICKS = 5
MAX_LABEL_LENGTH = 12
LABEL_HEIGHT = 15


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `least` to `most`, with a grid line at each step."""

    least: float
    most: float
    step: float

    @classmethod
    def over(cls, most: float, *, least: float = 0, whole: bool = False, end: float = math.inf) -> "Scale":
        """Return a scale with round steps that holds these values; `whole` for counts, `end` for a fixed maximum."""
        width = max(most - least, 1 if whole else 1e-9)
        size = 10.0 ** math.floor(math.log10(width / MAX_TICKS))
        steps = (size * factor for factor in (*STEPS, *(10 * step for step in STEPS)))
        step = next(step for step in steps if width / step <= MAX_TICKS + 1e-9 and (not whole or step == int(step)))
        bottom = math.floor(least / step + 1e-9) * step
        return cls(bottom, min(bottom + math.ceil((max(most, bottom + step) - bottom) / step - 1e-9) * step, end), step)

    @property
    def ticks(self) -> list[float]:
        number = round((self.most - self.least) / self.step)
        return [round(self.least + index * self.step, 12) for index in range(number + 1)]

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        share = (min(max(value, self.least), self.most) - self.least) / (self.most - self.least)
        return round(TOP + HEIGHT * (1 - share), 2)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis; minor ones are hidden where there is little room."""

    at: float
    text: str
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One segment of a stacked bar, in the style of its series."""

    x: float
    width: float
    y: float
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class Series:
    """A series with its style; for a line also its path, its end and the position of its label."""

    text: str
    style: str
    x: float = 0
    y: float = 0
    label_y: float = 0
    path: str = ""

    @property
    def short(self) -> str:
        return self.text if len(self.text) <= MAX_LABEL_LENGTH else f"{self.text[: MAX_LABEL_LENGTH - 1]}…"


@dataclass(frozen=True, slots=True)
class Limit:
    """A horizontal line that values should stay below."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class HoverArea:
    """The area of one moment, with its tooltip."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and the same figures as a table: a row for each moment, a column for each series."""

    id: str
    title: str
    description: str
    series: Sequence[Series]
    ys: Sequence[Tick]
    xs: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]]
    hover_areas: Sequence[HoverArea] = ()
    bars: Sequence[Bar] = ()
    limit: Limit | None = None
    note: str = ""  # which series are left out, and why

    @property
    def top(self) -> int:
        return TOP

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def bottom(self) -> int:
        return TOP + HEIGHT


def stack(values: Sequence[Sequence[float]], styles: Sequence[str], scale: Scale) -> list[Bar]:
    """Return the segments of a stacked bar for each moment, the first series at the bottom."""
    width = 100 / len(values)
    bars = []
    for index, parts in enumerate(values):
        below = 0.0
        for value, style in zip(parts, styles, strict=True):
            if value:
                top, bottom = scale.y(below + value), scale.y(below)
                x, bar_width = _round((index + 0.12) * width), _round(0.76 * width)
                bars.append(Bar(x, bar_width, top, _round(bottom - top), style))
            below += value
    return bars


def hover_areas(texts: Sequence[str], steps: int) -> list[HoverArea]:
    """Return the first areas of a width that is divided among so many steps; each shows its text as a tooltip."""
    width = 100 / steps
    return [HoverArea(_round(index * width), _round(width), text) for index, text in enumerate(texts)]


def lines(
    names: Sequence[str], styles: Sequence[str], values: Sequence[Sequence[float | None]], scale: Scale
) -> list[Series]:
    """Return a line for each series that has a value; a missing value is a gap."""
    drawn = [
        (name, style, points)
        for name, style, points in zip(names, styles, values, strict=True)
        if any(point is not None for point in points)
    ]
    ends = [max(index for index, point in enumerate(points) if point is not None) for _, _, points in drawn]
    ys = [scale.y(points[end] or 0) for (_, _, points), end in zip(drawn, ends, strict=True)]
    return [
        Series(name, style, _round((end + 0.5) * 100 / len(points)), y, label_y, _path(points, scale))
        for (name, style, points), end, y, label_y in zip(drawn, ends, ys, _spread(ys), strict=True)
    ]


def _path(points: Sequence[float | None], scale: Scale) -> str:
    """Return an SVG path 100 wide and in pixels high; a point between two gaps is a line of no length, a dot."""
    width, parts, has_previous = 100 / len(points), [], False
    for index, point in enumerate(points):
        if point is not None:
            x, y = _round((index + 0.5) * width), _round(scale.y(point) - TOP)
            parts.append(f"{'L' if has_previous else 'M'}{x} {y}")
            if not has_previous and (index + 1 == len(points) or points[index + 1] is None):
                parts.append("h0")
        has_previous = point is not None
    return "".join(parts)


def _spread(positions: Sequence[float]) -> list[float]:
    """Move labels down, or up from the bottom, so that none overlaps another."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    spread = list(positions)
    for above, below in pairwise(order):
        spread[below] = max(spread[below], spread[above] + LABEL_HEIGHT)
    lowest = float(TOP + HEIGHT)
    for index in reversed(order):
        spread[index] = min(spread[index], lowest)
        lowest = spread[index] - LABEL_HEIGHT
    return spread


def _round(number: float) -> float:
    return round(number, 3)
