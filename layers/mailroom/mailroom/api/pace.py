"""The pace of inline sends: a mail that is not sent is answered no sooner than one that is.

Otherwise a caller's own users could measure who is suppressed or limited, through the page that waits for the answer.
"""

import random
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Pace"]

KEPT_TIMES = 50  # of each account
USUAL_SECONDS = (0.1, 0.4)  # in a process that has not sent yet


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds from request to reply of the latest mails that were sent, by account."""

    times: dict[str, deque[float]] = field(default_factory=dict)

    def note(self, account: str, seconds: float) -> None:
        self.times.setdefault(account, deque(maxlen=KEPT_TIMES)).append(seconds)

    def pause(self, account: str, elapsed: float) -> float:
        """Return the seconds to wait until a request has taken as long as one of those whose mail was sent."""
        times = self.times.get(account) or [time for kept in self.times.values() for time in kept]
        usual = random.choice(times) if times else random.uniform(*USUAL_SECONDS)  # noqa: S311 - no secret
        return max(0.0, usual - elapsed)
