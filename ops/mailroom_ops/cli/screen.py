"""Output on a terminal: wrapped lines, colors where they are supported, tables that fit."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TypeVar

import click

from mailroom_ops.errors import OperatorError
from mailroom_ops.settings.changes import Act, Change

__all__ = [
    "colored",
    "emit",
    "emit_json",
    "hanging",
    "last_column_width",
    "note",
    "plan",
    "progress",
    "say",
    "shorten",
    "show_error",
    "table",
    "warn",
    "width",
]

T = TypeVar("T")
MIN_COLUMN_WIDTH = 20  # of the last column
MIN_WORD_WIDTH = 12  # of any column whose words have to be broken
MAX_DETAILS = 20  # lines of one error
GAP = "  "
SIGNS = {
    Act.CREATE: ("+", "green"),
    Act.CHANGE: ("~", "yellow"),
    Act.REMOVE: ("-", "red"),
    Act.KEEP: ("=", "bright_black"),
}


def width() -> int:
    return min(shutil.get_terminal_size().columns, 120)


def colored(text: str, color: str, *, bold: bool = False) -> str:
    """Color a text unless the output is no terminal or color is turned off: https://no-color.org"""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else click.style(text, fg=color, bold=bold)


def say(text: str = "") -> None:
    """Print a line; wrap it between words if it is long."""
    indent = text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(text, width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    click.echo("\n".join(lines))


def emit(text: str) -> None:
    """Print a text without wrapping, for a machine or for copying."""
    click.echo(text)


def emit_json(value: object) -> None:
    """Print a value as one line of JSON."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False))


def note(text: str) -> None:
    say(f"  {text}")


def hanging(first: str, text: str, indent: int) -> None:
    """Print a text after a word of up to `indent` cells; its further lines are indented by as much."""
    lines = textwrap.wrap(text, width() - indent, break_on_hyphens=False)
    click.echo(first + f"\n{'':{indent}}".join(lines))


def warn(text: str) -> None:
    """Print a warning on stderr, so that stdout contains the requested output only."""
    lines = textwrap.wrap(text, width() - 9, break_long_words=False, break_on_hyphens=False)
    click.echo(colored("warning: ", "yellow") + "\n         ".join(lines), err=True)


def show_error(error: OperatorError) -> None:
    """Print an error on stderr, with its details and the next step."""
    lines = textwrap.wrap(error.sentence, width() - 7, break_long_words=False, break_on_hyphens=False)
    click.echo(colored("error: ", "red", bold=True) + "\n       ".join(lines), err=True)
    for detail in error.details[:MAX_DETAILS]:
        click.echo(textwrap.fill(detail, width(), initial_indent="  ", subsequent_indent="    "), err=True)
    if len(error.details) > MAX_DETAILS:
        click.echo(f"  and {len(error.details) - MAX_DETAILS} more", err=True)
    if error.todo:
        click.echo(textwrap.fill(error.todo, width(), break_on_hyphens=False), err=True)


@contextmanager
def progress(items: Iterable[T], length: int | None, label: str) -> Iterator[Iterable[T]]:
    """Show a progress bar on stderr, if that is a terminal."""
    with click.progressbar(items, length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield bar


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns that fit the width; a text that is too long for its column is wrapped."""
    rows = [list(map(str, row)) for row in rows]
    if not rows:
        return
    sizes = _column_widths([header, *rows])
    _row([colored(word, "bright_black") for word in header], sizes, header)
    for row in rows:
        _row(row, sizes, row)


def last_column_width(header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Return the width of the last column of a table; `rows` may have more columns than the header."""
    columns = list(zip(header[:-1], *(row[: len(header) - 1] for row in rows), strict=True))
    others = sum(max(_cells(str(cell)) for cell in column) for column in columns)
    return max(MIN_COLUMN_WIDTH, width() - len(GAP) * len(header) - others)


def _column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of columns: the last one gives way first, then the widest; words are broken in the last one."""
    columns = list(zip(*rows, strict=True))
    sizes = [max(map(_cells, column)) for column in columns]
    words = [max(_cells(word) for cell in column for word in cell.split() or [""]) for column in columns]
    room = width() - len(GAP) * len(sizes)
    sizes[-1] = min(sizes[-1], max(MIN_COLUMN_WIDTH, room - sum(sizes[:-1])))
    whole = [*words[:-1], min(words[-1], MIN_COLUMN_WIDTH)]
    for least in (whole, [*words[:-1], MIN_WORD_WIDTH], [MIN_WORD_WIDTH] * len(sizes)):
        while sum(sizes) > room and (wide := [n for n, size in enumerate(sizes) if size > least[n]]):
            sizes[max(wide, key=lambda number: sizes[number])] -= 1
    return sizes


def shorten(text: str, cells: int) -> str:
    """Replace the middle of a text that is too long by an ellipsis."""
    return text if len(text) <= cells else f"{text[: cells // 2]}…{text[len(text) - cells + cells // 2 + 1 :]}"


def _row(shown: Sequence[str], sizes: Sequence[int], plain: Sequence[str]) -> None:
    cells = [_wrapped(text, bare, size) for text, bare, size in zip(shown, plain, sizes, strict=True)]
    for line in zip_longest(*cells, fillvalue=("", "")):
        padded = [text + " " * (size - _cells(bare)) for (text, bare), size in zip(line, sizes, strict=True)]
        click.echo((GAP + GAP.join([*padded[:-1], line[-1][0]])).rstrip())


def _wrapped(shown: str, plain: str, size: int) -> list[tuple[str, str]]:
    """Return the lines of a cell, each as it is shown and without colors; a cell of several lines loses its colors."""
    if "\n" not in plain and _cells(plain) <= size:
        return [(shown, plain)]
    lines = [line for part in plain.split("\n") for line in textwrap.wrap(part, size, break_on_hyphens=False) or [""]]
    return [(line, line) for line in lines]


def _cells(text: str) -> int:
    """Return the width of the widest line of a text."""
    return max(
        sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line) for line in text.split("\n")
    )


def plan(changes: Sequence[Change]) -> None:
    """Print the changes, one parameter a line."""
    longest = max((len(change.name) for change in changes), default=0)
    for change in changes:
        sign, color = SIGNS[change.act]
        values = change.to_json()["value"] if change.act is not Act.KEEP else "unchanged"
        text = f"{change.name.ljust(longest)}  {values}"
        indent = " " * (4 + longest + 2 if width() - longest > 6 + MIN_COLUMN_WIDTH else 6)
        lines = textwrap.wrap(text, width() - 4, subsequent_indent=indent[4:], break_on_hyphens=False)
        click.echo("  " + colored(f"{sign} " + f"\n{'':4}".join(lines), color))
