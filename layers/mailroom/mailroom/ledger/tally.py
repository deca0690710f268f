"""What is counted by the hour, so that a chart needs no walk through the ledger.

tally#{scope}#{YYYYMMDDHH}#{shard}   `sent/resend`, `bounced/ses`, `skipped/expired` …: how many; scope: a tenant, or *
"""

import time
from collections import defaultdict

from mailroom.aws.client import Aws

__all__ = ["EVERYONE", "Tally", "hour_of"]

EVERYONE = "*"
KEPT = 400 * 24 * 3600


class Tally:
    """Counts in memory, and writes one row a tenant and one for everyone when it is told to."""

    def __init__(self, aws: Aws, table: str, shards: int) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self._counts: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def count(self, tenant: str, what: str, which: str, number: float = 1) -> None:
        name = f"{what}/{which}"
        for scope in (tenant, EVERYONE):
            self._counts[scope][name] = self._counts[scope].get(name, 0) + number

    def flush(self) -> None:
        """Write what was counted; what could not be written stays for the next time."""
        now = time.time()
        # Not the same row for every process, because one row takes a thousand writes a second.
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
                "ExpressionAttributeValues": {":ttl": {"N": str(int(now + KEPT))}, **values},
            }
            self._aws.call("dynamodb", "UpdateItem", update)
            del self._counts[scope]


def hour_of(moment: float) -> str:
    """Name the hour of a moment, in UTC."""
    return time.strftime("%Y%m%d%H", time.gmtime(moment))
