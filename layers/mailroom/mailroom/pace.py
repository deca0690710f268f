"""Holding back from a provider that asked us to, or that looks dead, so that no mail pays for finding out again."""

from dataclasses import dataclass

__all__ = ["Gate"]

FAILURES_IN_A_ROW = 5
CLOSED_FOR = 15.0  # then one mail tries whether it lives


@dataclass(slots=True)
class Gate:
    """In front of one provider, for the life of this process."""

    closed_until: float = 0.0
    failures: int = 0

    def wait(self, now: float) -> float:
        """Return how long no mail should be handed over."""
        return max(0.0, self.closed_until - now)

    def took(self, now: float, wait: float) -> None:
        """Note a success, and how long the provider wants to be left alone after it."""
        self.failures = 0
        self.closed_until = now + wait

    def refused(self, now: float, wait: float | None) -> None:
        """Note that it could not take a mail: for `wait` seconds if it said so, else after some in a row."""
        self.failures = 0 if wait else self.failures + 1
        if wait:
            self.closed_until = now + wait
        elif self.failures >= FAILURES_IN_A_ROW:
            self.failures = 0
            self.closed_until = now + CLOSED_FOR
