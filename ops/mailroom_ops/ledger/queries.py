"""Look-ups in the ledger, for the operator's side: by id, by reader, by provider's name, by tenant and time.

The indexes hold keys only, so each found row is one more read; reads cost half, because they may be a second old.
"""

import heapq
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import sleep
from typing import TYPE_CHECKING, Any

from mailroom.aws.dynamodb import decode_item
from mailroom.ledger.table import keyed_hash, shards_of
from mailroom.model.mailbox import canonical

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from mailroom_ops.environment import Environment

__all__ = ["LedgerQueries", "Row"]

MESSAGE = re.compile(r"[0-9a-f]{32}")
PAGE = 100  # keys: as many as BatchGetItem takes
AT_ONCE = 16  # requests: with more, a look at 30 days could take reads from the functions (12,000 units a second)
LONGEST_PAUSE = 2.0
LATEST = 0xFFFFFFFFFFFF / 1000  # the last moment that a message id can begin with

Row = dict[str, Any]
Tally = tuple[str, str]  # a tenant, or everyone, and an hour as tally.py names it


@dataclass(frozen=True, slots=True)
class LedgerQueries:
    """Reads the table; writes nothing."""

    dynamodb: "DynamoDBClient"
    table: str
    shards: int
    address_key: str

    @classmethod
    def of(cls, environment: "Environment") -> "LedgerQueries":
        names = [f"/mailroom/{environment.name}/ledger/address_key"]
        found = environment.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
        key = found[0]["Value"] if found else ""
        table = environment.outputs["LedgerTableName"]
        return cls(environment.client("dynamodb"), table, shards_of(environment.name), key)

    def get(self, message_id: str) -> Row | None:
        """Return all that is known of a message."""
        key = {"pk": {"S": f"message#{message_id}"}}
        item = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return decode_item(item) if item else None

    def find_by_address(self, address: str) -> Iterator[Row]:
        """Yield what was for a reader, newest first."""
        recipient = keyed_hash(self.address_key, canonical(address))
        return self.rows(self._keys("by_recipient", "recipient", recipient))

    def find_by_provider_id(self, provider_id: str) -> Iterator[Row]:
        """Yield what a provider knows by this name."""
        return self.rows(self._keys("by_provider_id", "provider_id", provider_id))

    def find(self, since: float = 0, until: float = LATEST, tenant: str = "") -> Iterator[Row]:
        """Yield what was handed over in a time, newest first: of a tenant, or of all."""
        shards = [f"{shard:x}" for shard in range(self.shards)]
        if tenant:
            walk = partial(self._keys, "by_tenant", "tenant_shard", since=since, until=until)
            walks = [walk(f"{tenant}#{shard}") for shard in shards]
        else:
            walk = partial(self._keys, "by_time", "shard", since=since, until=until)
            walks = [walk(shard) for shard in shards]
        return self.rows(heapq.merge(*_started(walks), reverse=True))

    def tallies(self, wanted: Iterable[Tally]) -> dict[Tally, dict[str, float]]:
        """Return what was counted in hours, such as `sent/resend`: of tenants, or of everyone."""
        counted: dict[Tally, dict[str, float]] = {one: {} for one in wanted}
        keys = [f"tally#{tenant}#{hour}#{shard:x}" for tenant, hour in counted for shard in range(self.shards)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for rows in pool.map(self._batch, _chunks(keys)):
                for pk, row in rows.items():
                    _, tenant, hour, _ = pk.split("#")
                    counts = counted[tenant, hour]
                    for name, number in row.items():
                        if "/" in name:
                            counts[name] = counts.get(name, 0) + number
        return counted

    def suppressions(self, tenant: str = "", *, before: str = "", address: str = "") -> Iterator[Row]:
        """Yield who gets no more mail: from a tenant or from any; after a key of the list, or one address only."""
        one = ("by_tenant", "tenant_shard", f"{tenant}#suppressed")
        found = self._keys(*(one if tenant else ("by_time", "shard", "suppressed")), before=before)
        recipient = f"#{keyed_hash(self.address_key, canonical(address))}" if address else ""
        rows = self.rows(key for key in found if key.endswith(recipient))
        return (row for row in rows if "since" in row)  # an index may be behind: the entry is removed by now

    def rows(self, keys: Iterable[str]) -> Iterator[Row]:
        for chunk in _chunks(keys):
            found = self._batch(chunk)
            yield from (found[key] for key in chunk if key in found)

    def _batch(self, keys: list[str]) -> dict[str, Row]:
        wanted: Any = {self.table: {"Keys": [{"pk": {"S": key}} for key in keys]}}
        found, pause = {}, 0.05
        while wanted:
            answer = self.dynamodb.batch_get_item(RequestItems=wanted)
            rows = map(decode_item, answer["Responses"].get(self.table, []))
            found.update({row["pk"]: row for row in rows})
            if wanted := answer.get("UnprocessedKeys"):  # the table is busy: mail goes first
                sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        return found

    def _keys(
        self,
        index: str,
        name: str,
        value: str,
        *,
        since: float = 0,
        until: float = 0,
        prefix: str = "message#",
        before: str = "",
    ) -> Iterator[str]:
        """Yield the keys of one partition of an index, newest first."""
        query: dict[str, Any] = {
            "TableName": self.table,
            "IndexName": index,
            "KeyConditionExpression": "#name = :value",
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {":value": {"S": value}},
            "ScanIndexForward": False,
            "Limit": PAGE,
        }
        if until:
            query["KeyConditionExpression"] += " AND pk BETWEEN :since AND :until"
            bounds = {":since": {"S": f"{prefix}{_hex(since)}"}, ":until": {"S": f"{prefix}{_hex(until)}g"}}
            query["ExpressionAttributeValues"] |= bounds
        if before:
            query["KeyConditionExpression"] += " AND pk < :before"
            query["ExpressionAttributeValues"][":before"] = {"S": before}
        while True:
            answer = self.dynamodb.query(**query)
            yield from (item["pk"]["S"] for item in answer["Items"])
            if not (after := answer.get("LastEvaluatedKey")):
                return
            query["ExclusiveStartKey"] = after


def _hex(moment: float) -> str:
    """Write a time as message ids begin with it."""
    return f"{max(0, int(moment * 1000)):012x}"


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    keys = iter(keys)
    while chunk := list(islice(keys, PAGE)):
        yield chunk


def _started(walks: list[Iterator[str]]) -> list[Iterator[str]]:
    """Take the first step of each walk at the same time: each is a request of its own."""
    if len(walks) == 1:
        return walks
    with ThreadPoolExecutor(len(walks)) as pool:
        firsts = list(pool.map(lambda walk: list(islice(walk, 1)), walks))
    return [_after(first, walk) for first, walk in zip(firsts, walks, strict=True)]


def _after(first: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest
