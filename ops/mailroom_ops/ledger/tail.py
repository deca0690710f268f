"""The newest messages, and each change of their status as it happens."""

import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.trace import Trace

__all__ = ["follow", "latest"]

FOLLOWED_SECONDS = 900.0  # after its acceptance, a message is no longer followed
MAX_FOLLOWED = 1000  # messages at a time


def latest(
    queries: LedgerQueries, number: int, *, tenant: str = "", statuses: Collection[str] = (), since: float = 0
) -> list[Trace]:
    """Return the newest messages, the newest last: of one tenant or of all, with one of the statuses or with any."""
    records = (record for record in queries.find(since, tenant=tenant) if not statuses or record.status in statuses)
    return list(map(Trace.of, islice(records, number)))[::-1]


def follow(
    queries: LedgerQueries,
    *,
    tenant: str = "",
    statuses: Collection[str] = (),
    pause: Callable[[], bool],
    clock: Callable[[], float] = time.time,
) -> Iterator[Trace]:
    """Yield each new message, and again at each change of its status, until `pause` returns True."""
    started = clock()
    statuses_seen: dict[str, str] = {}
    while True:
        since = max(started - 1, clock() - FOLLOWED_SECONDS)
        records = list(islice(queries.find(since, tenant=tenant), MAX_FOLLOWED))
        for record in reversed(records):
            if statuses_seen.get(record.message_id) != record.status and (not statuses or record.status in statuses):
                yield Trace.of(record)
        statuses_seen = {record.message_id: record.status for record in records}
        if pause():
            return
