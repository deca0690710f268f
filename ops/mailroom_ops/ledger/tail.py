"""What happens, as it happens: each mail whenever it comes to something new."""

import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.trace import Trace

__all__ = ["follow", "latest"]

WINDOW = 900.0  # seconds: how long after it was handed over a mail is still watched
MOST = 1000  # of them at a time


def latest(
    queries: LedgerQueries, number: int, *, tenant: str = "", statuses: Collection[str] = (), since: float = 0
) -> list[Trace]:
    """Return the newest mails, newest last; of a tenant, or of all; with one of the statuses, or with any."""
    rows = (row for row in queries.find(since, tenant=tenant) if not statuses or row["status"] in statuses)
    return list(map(Trace.of, islice(rows, number)))[::-1]


def follow(
    queries: LedgerQueries,
    *,
    tenant: str = "",
    statuses: Collection[str] = (),
    pause: Callable[[], bool],
    clock: Callable[[], float] = time.time,
) -> Iterator[Trace]:
    """Yield each mail when it is new, and again when its status has changed, until `pause` says to stop."""
    started = clock()
    seen: dict[str, str] = {}
    while True:
        rows = list(islice(queries.find(max(started - 1, clock() - WINDOW), tenant=tenant), MOST))
        for row in reversed(rows):
            if seen.get(row["pk"]) != row["status"] and (not statuses or row["status"] in statuses):
                yield Trace.of(row)
        seen = {row["pk"]: row["status"] for row in rows}
        if pause():
            return
