"""Hourly counters in the ledger, so that a chart needs no scan of all messages.

tally#{scope}#{YYYYMMDDHH}#{shard}   numbers of `sent/resend`, `bounced/ses`, `skipped/expired` …; scope: a tenant, or *
"""

import time
from collections import defaultdict, deque

from mailroom.aws.client import Aws

__all__ = ["EVERYONE", "Tally", "hour_of"]

EVERYONE = "*"
RETENTION_SECONDS = 400 * 24 * 3600
FLUSH_INTERVAL_SECONDS = 10.0
BUSY_INVOCATIONS = 3  # within the interval


class Tally:
    """Counters in memory; `flush` adds them to one row per tenant and hour, and to one for all tenants.

    A process that is invoked again and again writes them every FLUSH_INTERVAL_SECONDS, because each row is a write. If
    such a process ends, the counts of its last seconds are lost; a process with few invocations writes after each.
    """

    def __init__(self, aws: Aws, table: str, shards: int) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self._counts: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # by scope and hour
        self._invocations: deque[float] = deque(maxlen=BUSY_INVOCATIONS)  # when the latest ones ended
        self._flushed_at = float("-inf")

    def count(self, tenant: str, status: str, detail: str, number: float = 1) -> None:
        name, hour = f"{status}/{detail}", hour_of(time.time())
        for scope in (tenant, EVERYONE):
            counts = self._counts[scope, hour]
            counts[name] = counts.get(name, 0) + number

    def flush_if_due(self) -> None:
        """Flush at the end of an invocation, unless the process is busy and did so a moment ago."""
        now = time.time()
        self._invocations.append(now)
        is_busy = len(self._invocations) == BUSY_INVOCATIONS and now - self._invocations[0] < FLUSH_INTERVAL_SECONDS
        # One shard: an environment for development, where a number that is missing confuses more than a write costs.
        if self._shards == 1 or not is_busy or now - self._flushed_at >= FLUSH_INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the counters; those that could not be written are kept for the next flush."""
        now = time.time()
        # Several rows per hour, because one item takes a thousand writes a second.
        shard = time.time_ns() // 1_000 % self._shards
        for scope, hour in list(self._counts):
            counts = self._counts[scope, hour]
            values = {f":{n}": {"N": repr(number)} for n, number in enumerate(counts.values())}
            adds = ", ".join(f"#{n} :{n}" for n in range(len(counts)))
            update = {
                "TableName": self._table,
                "Key": {"pk": {"S": f"tally#{scope}#{hour}#{shard:x}"}},
                "UpdateExpression": f"SET #ttl = :ttl ADD {adds}",
                "ExpressionAttributeNames": {"#ttl": "ttl", **{f"#{n}": name for n, name in enumerate(counts)}},
                "ExpressionAttributeValues": {":ttl": {"N": str(int(now + RETENTION_SECONDS))}, **values},
            }
            self._aws.call("dynamodb", "UpdateItem", update)
            del self._counts[scope, hour]
        self._flushed_at = now


def hour_of(timestamp: float) -> str:
    """Return the hour of a timestamp in UTC, as YYYYMMDDHH."""
    return time.strftime("%Y%m%d%H", time.gmtime(timestamp))
