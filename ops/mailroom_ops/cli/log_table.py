"""The table of `mailroom log`: one mail a line, in fixed columns that fit the terminal."""

import sys
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from mailroom_ops.cli import screen
from mailroom_ops.ledger.trace import MIN_PREFIX_LENGTH, Trace

__all__ = ["LogTable"]

MIN_WIDTH = 80
# Title, width in a terminal of 80 columns, and the widest that it gets.
COLUMNS = (
    ("time", 8, 8),
    ("status", 10, 10),
    ("reason, via", 12, 21),
    ("kind", 12, 23),
    ("tenant", 7, 15),
    ("to", 14, 26),
    ("id", 11, 32),
)
PIPED_WIDTHS = (19, 10, 24, 23, 12, 26, 32)
GROWING = ("kind", "to", "reason, via", "tenant")  # in this order, where a terminal is wider
SHORT_ID_LENGTH = 11  # 44 bits of a message's time: mails that are 16 ms apart differ
MAX_COMPARED_IDS = 10_000
COLORS = {
    "delivered": "green",
    "sent": "green",
    "bounced": "red",
    "complained": "red",
    "failed": "red",
    "unknown": "yellow",
}


@dataclass
class LogTable:
    """Prints mails as they come. In a pipe nothing is shortened, and each line has its date."""

    is_terminal: bool = field(default_factory=lambda: sys.stdout.isatty())
    _day: date = field(default_factory=lambda: datetime.now(UTC).date())
    _ids: list[str] = field(default_factory=list)  # sorted, and so by time

    def expect(self, traces: list[Trace]) -> None:
        """Take note of mails that will be printed, so that the ids of all of them are distinguishable."""
        self._ids = sorted(trace.id for trace in traces)

    def header(self) -> None:
        titles = [title for title, _, _ in COLUMNS]
        screen.emit(screen.colored(_line(titles, self._widths(), titles[-1]), "bright_black"))

    def row(self, trace: Trace) -> None:
        if self.is_terminal and trace.created.date() != self._day:
            self._day = trace.created.date()
            screen.emit(screen.colored(f"{self._day:%Y-%m-%d}", "bright_black"))
        identifier = trace.id[: self._unique_length(trace.id)] if self.is_terminal else trace.id
        cells = [
            f"{trace.created:%H:%M:%S}" if self.is_terminal else f"{trace.created:%Y-%m-%d %H:%M:%S}",
            trace.status,
            " ".join(filter(None, (trace.latest_reason, trace.account))),
            trace.kind,
            trace.tenant,
            trace.to,
        ]
        line = _line(cells, self._widths(), identifier, shortens=self.is_terminal)
        start = self._widths()[0] + 1
        end = start + len(trace.status)
        status = screen.colored(line[start:end], COLORS.get(trace.status, "bright_black"))
        screen.emit(f"{line[:start]}{status}{line[end:]}")

    def _widths(self) -> list[int]:
        if not self.is_terminal:
            return list(PIPED_WIDTHS)
        widths = {title: width for title, width, _ in COLUMNS}
        spare = max(0, screen.width() - MIN_WIDTH)
        for name in GROWING:
            maximum = next(most for title, _, most in COLUMNS if title == name)
            more = min(spare, maximum - widths[name])
            widths[name] += more
            spare -= more
        return list(widths.values())

    def _unique_length(self, identifier: str) -> int:
        """Return how many characters of an id tell it from the others; mails of one burst begin alike."""
        place = bisect_left(self._ids, identifier)
        if self._ids[place : place + 1] != [identifier]:
            self._ids.insert(place, identifier)
        neighbors = self._ids[max(0, place - 1) : place] + self._ids[place + 1 : place + 2]
        shared = max((_shared_length(identifier, other) for other in neighbors), default=0)
        del self._ids[:-MAX_COMPARED_IDS]
        return max(SHORT_ID_LENGTH, MIN_PREFIX_LENGTH, shared + 1)


def _line(cells: list[str], widths: list[int], identifier: str, *, shortens: bool = True) -> str:
    """Return one line; an id that is longer than its column takes the room from the column before it."""
    *columns, id_width = zip([*cells[: len(widths) - 1], identifier], widths, strict=True)
    excess = max(0, len(identifier) - id_width[1])
    parts = []
    for number, (text, width) in enumerate(columns):
        room = width - excess if number == len(columns) - 1 else width
        parts.append((_shorten(text, room) if shortens else text).ljust(room))
    return " ".join([*parts, identifier])


def _shared_length(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=True))
    return next((position for position, (left, right) in pairs if left != right), len(first))


def _shorten(text: str, room: int) -> str:
    if len(text) > room:
        text = text.replace("•••", "…")  # of a masked address: its domain is worth more
    return text if len(text) <= room else f"{text[: room - 1]}…"
