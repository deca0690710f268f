"""Holding back from a provider that asked us to, or that looks dead, so that no mail pays for finding out again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["CLOSED_FOR", "FAILURES_IN_A_ROW", "WIDEST", "Gate"]

FAILURES_IN_A_ROW = 5
CLOSED_FOR = 15.0  # then one mail tries whether it lives
WIDEST = 8.0  # seconds


@dataclass(slots=True)
class Gate:
    """In front of one provider, for the life of this process.

    Other processes were told the same, and would all come back in the same instant. So whoever was refused comes back
    some time later, by chance: over a span that doubles with each refusal, until all fit in, and then narrows again.
    """

    closed_until: float = 0.0
    failures: int = 0
    span: float = 0.0
    chance: Callable[[], float] = random.random

    def wait(self, now: float) -> float:
        """Return how long no mail should be handed over."""
        return max(0.0, self.closed_until - now)

    def took(self, now: float, wait: float) -> None:
        """Note a success, and how long the provider wants to be left alone after it."""
        self.failures = 0
        self.span /= 2
        self.closed_until = now + wait + (self.chance() * self.span if wait else 0.0)

    def refused(self, now: float, wait: float | None) -> None:
        """Note that it could not take a mail: for `wait` seconds if it said so, else after some in a row."""
        self.failures = 0 if wait else self.failures + 1
        if wait:
            self.span = min(WIDEST, max(wait, 2 * self.span))
            self.closed_until = now + wait + self.chance() * self.span
        elif self.failures >= FAILURES_IN_A_ROW:
            self.failures = 0
            self.closed_until = now + CLOSED_FOR
