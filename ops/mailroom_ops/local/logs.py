"""The output of the functions: each line is kept unchanged, and printed in a readable form."""

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["Logs"]

MAX_LINES = 20_000
SOURCE_WIDTH = 9
# Fields that Powertools adds to each line and that are of no use on a laptop.
HIDDEN_FIELDS = frozenset({"level", "message", "timestamp", "location", "service", "sampling_rate", "taskName"})
HIDDEN_FIELDS |= {
    "exception",
    "exception_name",
    "stack_trace",
    "correlation_id",
    "xray_trace_id",
    "cold_start",
    "environment",
    "request_id",
}
LEVEL_COLORS = {"WARNING": "33", "ERROR": "31;1", "CRITICAL": "31;1"}


class Logs:
    """Collects the lines of all functions, and prints them to `out`."""

    def __init__(self, out: TextIO | None = sys.stdout) -> None:
        self._out = out
        self._color = out is not None and out.isatty() and not os.environ.get("NO_COLOR")
        self._lines: deque[tuple[str, str]] = deque(maxlen=MAX_LINES)
        self._lock = threading.Condition()

    def add(self, source: str, line: str, *, show: bool = True) -> None:
        """Add a raw line of a function, or of the access log."""
        with self._lock:
            self._lines.append((source, line))
            self._lock.notify_all()
            if show:
                self._show(source, line)

    def log(self, text: str, level: str = "INFO", source: str = "local") -> None:
        """Add a message of the stack itself."""
        with self._lock:
            self._lines.append((source, text))
            self._lock.notify_all()
            self._write(source, text, level)

    def lines(self, source: str | None = None) -> list[str]:
        """Return the raw lines so far, of one function or of all."""
        with self._lock:
            return [line for name, line in self._lines if source in (None, name)]

    def wait(self, matches: Callable[[str], bool], source: str | None = None, timeout: float = 30.0) -> str:
        """Wait for a raw line that `matches` and return it; raise TimeoutError if there is none in time."""
        with self._lock:
            match = self._lock.wait_for(
                lambda: next((line for name, line in self._lines if source in (None, name) and matches(line)), None),
                timeout,
            )
        if match is None:
            raise TimeoutError(f"no such line within {timeout} s")
        return match

    def clear(self) -> None:
        with self._lock:
            self._lines.clear()

    def _show(self, source: str, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            level = "ERROR" if line.startswith(("[ERROR]", "Traceback")) else "INFO"
            return self._write(source, line.removeprefix("[ERROR] "), level)
        if "_aws" in record:
            return None  # a metric in CloudWatch's embedded metric format
        return self._write(source, condense(record), str(record.get("level", "INFO")))

    def _write(self, source: str, text: str, level: str) -> None:
        if self._out is None:
            return
        head = f"{time.strftime('%H:%M:%S')} {source:<{SOURCE_WIDTH}} "
        prefix = f"{level} " if level in LEVEL_COLORS else ""
        body = (prefix + text).replace("\n", "\n" + " " * len(head))
        if self._color:
            head, body = (
                f"\x1b[2m{head}\x1b[0m",
                f"\x1b[{LEVEL_COLORS[level]}m{body}\x1b[0m" if level in LEVEL_COLORS else body,
            )
        try:
            print(head + body, file=self._out, flush=True)
        except (BrokenPipeError, ValueError):
            self._out = None  # the reader is gone


def condense(record: dict[str, Any]) -> str:
    """Format a structured log line for people: message, fields, traceback."""
    fields = [
        f"{key}={value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)}"
        for key, value in record.items()
        if key not in HIDDEN_FIELDS and not key.startswith("function_") and value not in (None, "")
    ]
    line = "  ".join([str(record.get("message", "")), *fields])
    return "\n".join([line, *str(record["exception"]).splitlines()]) if record.get("exception") else line
