"""What the functions print: every line is kept as it is, and shown as a person reads it."""

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["Logs"]

KEPT_LINES = 20_000
COLUMN = 9
# What Powertools adds to each line, and what says nothing on a laptop.
NOISE = frozenset({"level", "message", "timestamp", "location", "service", "sampling_rate", "taskName"})
NOISE |= {
    "exception",
    "exception_name",
    "stack_trace",
    "correlation_id",
    "xray_trace_id",
    "cold_start",
    "environment",
    "request_id",
}
LOUD = {"WARNING": "33", "ERROR": "31;1", "CRITICAL": "31;1"}


class Logs:
    """Collects lines from all functions and writes readable ones to `out`."""

    def __init__(self, out: TextIO | None = sys.stdout) -> None:
        self._out = out
        self._colour = out is not None and out.isatty() and not os.environ.get("NO_COLOR")
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Condition()

    def add(self, source: str, line: str, *, show: bool = True) -> None:
        """Take one raw line of a function, or of the access log."""
        with self._lock:
            self._lines.append((source, line))
            self._lock.notify_all()
            if show:
                self._show(source, line)

    def say(self, text: str, level: str = "INFO", source: str = "local") -> None:
        """Say something of our own, which is no function's output."""
        with self._lock:
            self._lines.append((source, text))
            self._lock.notify_all()
            self._write(source, text, level)

    def lines(self, source: str | None = None) -> list[str]:
        """Return the raw lines so far, of one function or of all."""
        with self._lock:
            return [line for name, line in self._lines if source in (None, name)]

    def wait(self, wanted: Callable[[str], bool], source: str | None = None, timeout: float = 30.0) -> str:
        """Return the first raw line that is `wanted`, once there is one; raise TimeoutError if it does not come."""
        with self._lock:
            found = self._lock.wait_for(
                lambda: next((line for name, line in self._lines if source in (None, name) and wanted(line)), None),
                timeout,
            )
        if found is None:
            raise TimeoutError(f"no such line within {timeout} s")
        return found

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
            return None  # a metric in CloudWatch's embedded format
        return self._write(source, condense(record), str(record.get("level", "INFO")))

    def _write(self, source: str, text: str, level: str) -> None:
        if self._out is None:
            return
        head = f"{time.strftime('%H:%M:%S')} {source:<{COLUMN}} "
        word = f"{level} " if level in LOUD else ""
        body = (word + text).replace("\n", "\n" + " " * len(head))
        if self._colour:
            head, body = f"\x1b[2m{head}\x1b[0m", f"\x1b[{LOUD[level]}m{body}\x1b[0m" if level in LOUD else body
        try:
            print(head + body, file=self._out, flush=True)
        except (BrokenPipeError, ValueError):
            self._out = None  # nobody reads any more: go on without


def condense(record: dict[str, Any]) -> str:
    """Make one readable line of a structured one: its message, then what it knows, then a traceback if there is one."""
    known = [
        f"{key}={value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)}"
        for key, value in record.items()
        if key not in NOISE and not key.startswith("function_") and value not in (None, "")
    ]
    line = "  ".join([str(record.get("message", "")), *known])
    return "\n".join([line, *str(record["exception"]).splitlines()]) if record.get("exception") else line
