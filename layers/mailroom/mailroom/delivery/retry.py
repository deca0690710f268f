"""The retry policy: how soon to try again, how many copies to risk, and when to give up."""

from collections.abc import Collection, Mapping, Sequence

from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel

__all__ = [
    "COPIES",
    "LAST_MOMENT_SECONDS",
    "NOTICE_ATTEMPTS_BEFORE_FAILOVER",
    "copies",
    "postponement",
    "retry_delay",
    "time_left",
]

# Seconds. Someone waits for a code: it is tried soon at first, and at least every 20 s.
SCHEDULE: Mapping[Lane, Sequence[float]] = {
    Lane.CODES: (1, 3, 10, 20),
    Lane.NOTICES: (1, 3, 10, 30, 60, 120, 300, 600, 900),
}
# A wait that a provider states is kept up to this. Longer ones mean a quota, which somebody may raise.
MAX_STATED_SECONDS: Mapping[Lane, float] = {Lane.CODES: 60.0, Lane.NOTICES: 900.0}
STEPS_WITH_STATED_WAIT = 3  # where each provider stated a wait, nobody waits much longer than that
NOTICE_ATTEMPTS_BEFORE_FAILOVER = 3
LAST_MOMENT_SECONDS = 3.0  # with less time left there is no further attempt
# How many copies a recipient may get when providers do not answer: a lost code is worse than a second copy, a lost
# notice is not.
COPIES: Mapping[Lane, int] = {Lane.CODES: 2, Lane.NOTICES: 1}


def retry_delay(parcel: Parcel, stated_waits: Collection[float] = ()) -> float:
    """Return the seconds until the next attempt of a parcel. `stated_waits` are the waits its providers asked for."""
    schedule = SCHEDULE[parcel.lane]
    if stated_waits and all(stated_waits):
        schedule = schedule[:STEPS_WITH_STATED_WAIT]
    step = schedule[min(parcel.requests, len(schedule) - 1)]
    return min(max(step, min(stated_waits, default=0.0)), MAX_STATED_SECONDS[parcel.lane])


def postponement(times: int, lane: Lane, gate_seconds: float = 0.0) -> float:
    """Return the seconds until a parcel comes back that no provider was asked about, the `times`-th time in a row."""
    schedule = SCHEDULE[lane]
    wait = max(1.0, gate_seconds) if gate_seconds else schedule[min(times, len(schedule) - 1)]
    return min(wait, MAX_STATED_SECONDS[lane])


def time_left(expires_at: float, now: float, delay: float) -> float | None:
    """Return a delay, shortened so that the attempt still lies within the lifetime; None if there is no time left."""
    left = expires_at - now
    return min(delay, left - LAST_MOMENT_SECONDS / 2) if left > LAST_MOMENT_SECONDS else None


def copies(accounts: Collection[str], idempotent: Collection[str]) -> int:
    """Return how many copies may exist at most. An idempotent account makes one copy however often it is asked."""
    once = {account for account in accounts if account in idempotent}
    return len(once) + sum(account not in idempotent for account in accounts)
