"""The geometry of charts: what stands where, for templates/charts.html to draw.

Across, everything is a percentage, so that a chart is as wide as its place and its text never shrinks; down, pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Bar", "Chart", "Mark", "Name", "Scale", "Tick", "lines", "slots", "stack"]

TOP = 14  # room for what stands on the highest line
HEIGHT = 170
STEPS = (1, 2, 5, 10)
MOST_TICKS = 5
LETTERS = 12  # of a name at the end of its line
LINE = 15  # from one such name to the next


@dataclass(frozen=True, slots=True)
class Scale:
    """From `least` to `most`, with a line at each step."""

    least: float
    most: float
    step: float

    @classmethod
    def over(cls, most: float, *, least: float = 0, whole: bool = False, end: float = math.inf) -> "Scale":
        """Return a scale with sensible steps that holds these values; `whole` for what is counted."""
        width = max(most - least, 1 if whole else 1e-9)
        size = 10.0 ** math.floor(math.log10(width / MOST_TICKS))
        fitting = (size * by for by in (*STEPS, *(10 * step for step in STEPS)))
        step = next(one for one in fitting if width / one <= MOST_TICKS + 1e-9 and (not whole or one == int(one)))
        bottom = math.floor(least / step + 1e-9) * step
        return cls(bottom, min(bottom + math.ceil((max(most, bottom + step) - bottom) / step - 1e-9) * step, end), step)

    @property
    def ticks(self) -> list[float]:
        number = round((self.most - self.least) / self.step)
        return [round(self.least + index * self.step, 12) for index in range(number + 1)]

    def y(self, value: float) -> float:
        """Return how far down a value stands."""
        part = (min(max(value, self.least), self.most) - self.least) / (self.most - self.least)
        return round(TOP + HEIGHT * (1 - part), 2)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis; a phone has no room for a minor one."""

    at: float
    text: str
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a stack, of the series with this look."""

    x: float
    width: float
    y: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Name:
    """A series, how it looks, and where its line ends."""

    text: str
    look: str
    x: float = 0
    y: float = 0
    label_y: float = 0
    path: str = ""

    @property
    def short(self) -> str:
        return self.text if len(self.text) <= LETTERS else f"{self.text[: LETTERS - 1]}…"


@dataclass(frozen=True, slots=True)
class Mark:
    """A line that should not be reached."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and the same figures as a table: a row for each moment, a column for each series."""

    id: str
    title: str
    about: str
    names: Sequence[Name]
    ys: Sequence[Tick]
    xs: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]]
    slots: Sequence[tuple[float, float, str]] = ()  # where each moment is, and what is said of it under the pointer
    bars: Sequence[Bar] = ()
    limit: Mark | None = None
    left_out: str = ""  # which series are not drawn, and why

    @property
    def top(self) -> int:
        return TOP

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def bottom(self) -> int:
        return TOP + HEIGHT


def stack(values: Sequence[Sequence[float]], looks: Sequence[str], scale: Scale) -> list[Bar]:
    """Return the parts of a bar for each moment, the first series at the bottom."""
    slot = 100 / len(values)
    bars = []
    for index, parts in enumerate(values):
        below = 0.0
        for value, look in zip(parts, looks, strict=True):
            if value:
                top, bottom = scale.y(below + value), scale.y(below)
                bars.append(Bar(_round((index + 0.12) * slot), _round(0.76 * slot), top, _round(bottom - top), look))
            below += value
    return bars


def slots(about: Sequence[str]) -> list[tuple[float, float, str]]:
    """Return the place of each moment, from side to side."""
    width = 100 / len(about)
    return [(_round(index * width), _round(width), text) for index, text in enumerate(about)]


def lines(
    names: Sequence[str], looks: Sequence[str], values: Sequence[Sequence[float | None]], scale: Scale
) -> list[Name]:
    """Return a line for each series that has a value; where it has none, the line has a gap."""
    drawn = [
        (name, look, points)
        for name, look, points in zip(names, looks, values, strict=True)
        if any(point is not None for point in points)
    ]
    ends = [max(at for at, point in enumerate(points) if point is not None) for _, _, points in drawn]
    ys = [scale.y(points[end] or 0) for (_, _, points), end in zip(drawn, ends, strict=True)]
    return [
        Name(name, look, _round((end + 0.5) * 100 / len(points)), y, label, _path(points, scale))
        for (name, look, points), end, y, label in zip(drawn, ends, ys, _apart(ys), strict=True)
    ]


def _path(points: Sequence[float | None], scale: Scale) -> str:
    """Write a line in a box of 100 by pixels. A point between two gaps is a line of no length, which shows as a dot."""
    slot, parts, before = 100 / len(points), [], False
    for index, point in enumerate(points):
        if point is not None:
            parts.append(f"{'L' if before else 'M'}{_round((index + 0.5) * slot)} {_round(scale.y(point) - TOP)}")
            if not before and (index + 1 == len(points) or points[index + 1] is None):
                parts.append("h0")
        before = point is not None
    return "".join(parts)


def _apart(places: Sequence[float]) -> list[float]:
    """Move labels down, or up from the bottom, so that none covers another."""
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    for above, below in pairwise(order):
        found[below] = max(found[below], found[above] + LINE)
    lowest = float(TOP + HEIGHT)
    for index in reversed(order):
        found[index] = min(found[index], lowest)
        lowest = found[index] - LINE
    return found


def _round(number: float) -> float:
    return round(number, 3)
