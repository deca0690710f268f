"""The gate before one provider: its rate limit, and a circuit breaker for when it fails or hangs."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CLOSED_SECONDS", "FAILURES_IN_A_ROW", "MAX_SPREAD_SECONDS", "Gate"]

FAILURES_IN_A_ROW = 5
CLOSED_SECONDS = 15.0  # then one mail probes
# However long a provider asks for, a mail probes after this: somebody may raise a quota, and codes wait.
MAX_CLOSED_SECONDS = 60.0
MAX_HANG_SECONDS = 20.0
MAX_SPREAD_SECONDS = 8.0
CALM_SPREAD_SECONDS = 0.1  # after some accepted requests the spread is smaller
HANG_SECONDS = 2.0  # a failure that took this long would delay every other mail of the invocation as well


def _by_chance() -> float:
    """Return a number from 0 to 1, by the system's generator.

    The state of Python's own is part of a snapshot (SnapStart): all environments that are restored from it would come
    back in the same instant.
    """
    return int.from_bytes(secrets.token_bytes(7), "big") / 2**56


@dataclass(slots=True)
class Gate:
    """Computes the wait before the next request; for the life of one process.

    Other processes receive the same rate limit, and would all come back in the same instant. So each comes back some
    time later, by chance: over a spread that doubles with each refusal, until all fit in, and then narrows again.
    """

    closed_until: float = 0.0
    failures: int = 0
    hangs: int = 0
    hung_at: float = float("-inf")
    accepted_at: float = float("-inf")
    refused_at: float = float("-inf")  # for its rate
    failed_at: float = float("-inf")
    spread: float = 0.0
    chance: Callable[[], float] = _by_chance

    def wait(self, now: float) -> float:
        """Return the seconds for which no mail should be handed over."""
        return max(0.0, self.closed_until - now)

    @property
    def is_troubled(self) -> bool:
        """Whether the latest request failed or hung, so that other mails had better go first."""
        return bool(self.failures or self.hangs)

    @property
    def takes_one_at_a_time(self) -> bool:
        """Whether it has failed, hung or refused for its rate a short time ago."""
        return self.is_troubled or self.spread >= CALM_SPREAD_SECONDS

    def is_accepting(self, now: float, seconds: float) -> bool:
        """Return whether a request was accepted in the last `seconds`, and none has failed since."""
        return self.accepted_at > max(self.failed_at, now - seconds)

    def succeeded(self, now: float, wait: float) -> None:
        """Record an accepted request, and the seconds that the provider wants to be left alone after it."""
        self.failures = self.hangs = 0
        self.accepted_at = now
        self.spread /= 2
        self._close(now, wait, self.chance() * self.spread if wait else 0.0)

    def failed(self, now: float, wait: float | None, took: float = 0.0) -> None:
        """Record a failed request: close for `wait` seconds if stated, at once if it hung, else after some in a row.

        Requests at the same time, of several threads, that all hang or are refused, are so once.
        """
        started = now - took
        if wait:
            self.failures = 0
            if started >= self.refused_at:
                self.spread = min(MAX_SPREAD_SECONDS, max(wait, 2 * self.spread))
            self.refused_at = now
            self._close(now, wait, self.chance() * self.spread)
            return
        self.failed_at = now
        if took >= HANG_SECONDS:
            self.hangs += started >= self.hung_at
            self.hung_at = now
            self._close(now, min(took * self.hangs, MAX_HANG_SECONDS))
        else:
            self.failures += 1
            if self.failures >= FAILURES_IN_A_ROW:
                self.failures = 0
                self._close(now, CLOSED_SECONDS)

    def _close(self, now: float, seconds: float, by_chance: float = 0.0) -> None:
        self.closed_until = now + min(seconds, MAX_CLOSED_SECONDS) + by_chance
