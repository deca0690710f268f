"""The pace of inline sends: a mail that is not sent is answered no sooner than one that is.

Otherwise a caller's own users could measure who is suppressed or limited, through the page that waits for the answer.
"""

import random
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Pace"]

KEPT_TIMES = 50  # of each account, and of each reason
USUAL_SECONDS = (0.1, 0.4)  # in a process that has not sent yet


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds from request to reply of the latest mails: of those that were sent, by account, and of the others.

    A request that is slow among those of its reason takes as long as a slow one of those whose mail was sent: so the
    answers have the same times, also where the steps before a provider's request take most of it.
    """

    times: dict[str, deque[float]] = field(default_factory=dict)
    concealed: dict[str, deque[float]] = field(default_factory=dict)

    def note(self, account: str, seconds: float) -> None:
        self.times.setdefault(account, deque(maxlen=KEPT_TIMES)).append(seconds)

    def pause(self, account: str, reason: str, elapsed: float) -> float:
        """Return the seconds to wait until a request has taken as long as one of those whose mail was sent."""
        others = self.concealed.setdefault(reason, deque(maxlen=KEPT_TIMES))
        rank = (sum(other < elapsed for other in others) + random.random()) / (len(others) + 1)  # noqa: S311 - no secret
        others.append(elapsed)
        times = sorted(self.times.get(account) or [time for kept in self.times.values() for time in kept])
        usual = times[int(rank * len(times))] if times else random.uniform(*USUAL_SECONDS)  # noqa: S311
        return max(0.0, usual - elapsed)
