"""A value that is read again after some seconds."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Cached"]

T = TypeVar("T")


@dataclass
class Cached(Generic[T]):
    """The latest value of a reader; one thread at a time reads, and the others wait for its value."""

    seconds: float
    _values: list[T] = field(default_factory=list, repr=False)  # one, or none yet
    _read_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, read: Callable[[], T]) -> T:
        with self._lock:
            if not self._values or time.monotonic() - self._read_at > self.seconds:
                self._values = [read()]
                self._read_at = time.monotonic()
            return self._values[0]

    def forget(self) -> None:
        """Read again at the next request, such as after a change."""
        self._values = []
