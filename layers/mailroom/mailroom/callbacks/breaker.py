"""The circuit breaker of one endpoint: after failures in a row, its events wait without a request."""

import secrets
from dataclasses import dataclass

__all__ = ["Breaker", "spread"]

FAILURES_IN_A_ROW = 3  # one event that its receiver cannot process does not stop the others
FIRST_SECONDS = 15.0
MAX_SECONDS = 900.0


@dataclass(slots=True)
class Breaker:
    """Computes the wait before the next request, for the life of one process: longer with each failure in a row."""

    open_until: float = 0.0
    failures: int = 0

    def wait(self, now: float) -> float:
        """Return the seconds for which the endpoint gets no request."""
        return max(0.0, self.open_until - now)

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now: float, *, is_down: bool, retry_after: float = 0.0) -> None:
        """Record a failure; an endpoint that `is_down`, without an answer, gets no second request for now."""
        self.failures = max(self.failures + 1, FAILURES_IN_A_ROW if is_down else 0)
        if self.failures >= FAILURES_IN_A_ROW:
            seconds = FIRST_SECONDS * 2 ** min(self.failures - FAILURES_IN_A_ROW, 10)
            self.open_until = now + min(max(seconds, retry_after), MAX_SECONDS)
        elif retry_after:
            self.open_until = now + min(retry_after, MAX_SECONDS)


def spread(seconds: float) -> float:
    """Return a wait, shortened by up to a fifth by chance, so that the events of an endpoint do not return at once.

    By the system's generator: the state of Python's own is part of a snapshot (SnapStart).
    """
    return seconds * (1 - secrets.token_bytes(1)[0] / 1280)
