"""Hourly counters in the ledger, so that a chart needs no scan of all messages.

tally#{scope}#{YYYYMMDDHH}#{shard}   numbers of `sent/resend`, `bounced/ses`, `skipped/expired` …; scope: a tenant, or *
"""

import time
from collections import defaultdict

from mailroom.aws.client import Aws

__all__ = ["EVERYONE", "Tally", "hour_of"]

EVERYONE = "*"
RETENTION_SECONDS = 400 * 24 * 3600


class Tally:
    """Counters in memory; `flush` adds them to one row per tenant and one for all tenants."""

    def __init__(self, aws: Aws, table: str, shards: int) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self._counts: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def count(self, tenant: str, status: str, detail: str, number: float = 1) -> None:
        name = f"{status}/{detail}"
        for scope in (tenant, EVERYONE):
            self._counts[scope][name] = self._counts[scope].get(name, 0) + number

    def flush(self) -> None:
        """Write the counters; those that could not be written are kept for the next flush."""
        now = time.time()
        # Several rows per hour, because one item takes a thousand writes a second.
        shard = time.time_ns() // 1_000 % self._shards
        for scope in list(self._counts):
            counts = self._counts[scope]
            values = {f":{n}": {"N": repr(number)} for n, number in enumerate(counts.values())}
            adds = ", ".join(f"#{n} :{n}" for n in range(len(counts)))
            update = {
                "TableName": self._table,
                "Key": {"pk": {"S": f"tally#{scope}#{hour_of(now)}#{shard:x}"}},
                "UpdateExpression": f"SET #ttl = :ttl ADD {adds}",
                "ExpressionAttributeNames": {"#ttl": "ttl", **{f"#{n}": name for n, name in enumerate(counts)}},
                "ExpressionAttributeValues": {":ttl": {"N": str(int(now + RETENTION_SECONDS))}, **values},
            }
            self._aws.call("dynamodb", "UpdateItem", update)
            del self._counts[scope]


def hour_of(timestamp: float) -> str:
    """Return the hour of a timestamp in UTC, as YYYYMMDDHH."""
    return time.strftime("%Y%m%d%H", time.gmtime(timestamp))
