"""The period of the page, hour by hour, and the equally long period before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mailroom_ops.console.charts import Tick
from mailroom_ops.ledger.stats import Counts, total

__all__ = ["SPANS", "Period", "Span"]

MIN_STEPS = 8  # of a chart: a bar is never wider than an eighth of it
FEW_STEPS = 12  # of which each has a label


@dataclass(frozen=True, slots=True)
class Span:
    """The length of a period, as a number of steps of `hours`."""

    name: str
    steps: int
    hours: int
    share_hours: int  # the least number of hours that a share is calculated over
    rare_share_hours: int  # the same for complaints, one in a thousand

    def begins(self, now: datetime) -> datetime:
        """Return the begin of the first step; the last step contains `now`."""
        size = self.hours * 3600
        last = now.timestamp() // size * size
        return datetime.fromtimestamp(last - (self.steps - 1) * size, UTC)

    def label(self, start: datetime) -> str:
        if self.hours == 24:
            return f"{start:%a} {start.day} {start:%b}"
        end = start + timedelta(hours=self.hours)
        return f"{start:%a} {start.day}, {start:%H}–{end:%H}:00"

    def ticks(self, starts: Sequence[datetime]) -> Iterator[Tick]:
        width = 100 / len(starts)
        for index, start in enumerate(starts):
            from_end = len(starts) - 1 - index
            if len(starts) <= FEW_STEPS:
                text = f"{start.day} {start:%b}" if self.hours == 24 else f"{start:%H:%M}"
                yield Tick((index + 0.5) * width, text, index % 2 == 1)
            elif self.hours == 24 and from_end % 7 == 0:
                yield Tick((index + 0.5) * width, f"{start.day} {start:%b}", from_end % 14 == 7)
            elif self.hours == 6 and start.hour == 0 and from_end >= 3:
                yield Tick((index + 2) * width, f"{start:%a} {start.day}", start.day % 2 == 0)
            elif self.hours == 1 and start.hour % 6 == 0:
                yield Tick((index + 0.5) * width, f"{start:%H:%M}" if start.hour else f"{start:%a} {start.day}")


SPANS = {
    "day": Span("24 hours", 24, 1, 6, 24),
    "week": Span("7 days", 28, 6, 24, 72),
    "month": Span("30 days", 30, 24, 24, 7 * 24),
}


@dataclass(frozen=True, slots=True)
class Period:
    """The counts of each hour of a span, and of the hours of the span before."""

    span: Span
    hours: Sequence[Counts]
    before: Sequence[Counts]

    @property
    def charted(self) -> "Period":
        """The period from its first mail on, where there was none before: a chart has no empty beginning."""
        first = next((index for index, hour in enumerate(self.hours) if hour.counts), 0)
        size = self.span.hours
        skipped = 0 if any(hour.counts for hour in self.before) else first // size * size
        return replace(self, hours=self.hours[skipped:], before=[*self.before, *self.hours[:skipped]])

    @property
    def padding(self) -> int:
        """The number of steps that are still to come in a chart that has just begun."""
        return max(0, MIN_STEPS - len(self.starts))

    @property
    def ticks(self) -> list[Tick]:
        step = timedelta(hours=self.span.hours)
        coming = [self.starts[-1] + number * step for number in range(1, self.padding + 1)]
        return list(self.span.ticks([*self.starts, *coming]))

    @property
    def starts(self) -> list[datetime]:
        return [hour.hour for hour in self.hours[:: self.span.hours]]

    @property
    def steps(self) -> list[Counts]:
        size = self.span.hours
        return [total(self.hours[index : index + size]) for index in range(0, len(self.hours), size)]

    @property
    def labels(self) -> list[str]:
        labels = [self.span.label(start) for start in self.starts]
        return [*labels[:-1], f"{labels[-1]}, so far"]

    def trailing(self, hours: int) -> list[Counts]:
        """Return, for each step, the total of that many hours up to the step's end."""
        every = [*self.before, *self.hours]
        ends = [min(len(every), len(self.before) + (n + 1) * self.span.hours) for n in range(len(self.starts))]
        return [total(every[max(0, end - hours) : end]) for end in ends]
