"""Ledger queries for operators: by message id, address, provider's id, tenant and time.

The indexes hold keys only, so that each row costs one more read; reads are eventually consistent, at half the price.
"""

import heapq
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from time import sleep
from typing import TYPE_CHECKING, Any

from mailroom.aws.dynamodb import decode_item
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import shards_of
from mailroom.model.mailbox import canonical
from mailroom.model.parameter_names import DEFAULT_TENANT
from mailroom.model.record import MESSAGE_ROW, Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from mailroom_ops.environment import Environment

__all__ = ["LedgerQueries", "Row"]

MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
PAGE_SIZE = 100  # keys, the most that BatchGetItem takes
LONG_PAGE_SIZE = 1000  # of a list that is read to its end
MAX_CONCURRENT_READS = 16  # with more, a query over 30 days could throttle the functions (12,000 units a second)
MAX_BACKOFF_SECONDS = 2.0
MAX_TIME = 0xFFFFFFFFFFFF / 1000  # the latest time that a message id can begin with

Row = dict[str, Any]
TallyKey = tuple[str, str]  # a tenant, or everyone, and an hour in the form of tally.py


@dataclass(frozen=True, slots=True)
class LedgerQueries:
    """Reads the ledger's table, and writes nothing."""

    dynamodb: "DynamoDBClient"
    table: str
    shards: int
    address_key: str

    @classmethod
    def of(cls, environment: "Environment") -> "LedgerQueries":
        names = [f"/mailroom/{environment.name}/ledger/address_key"]
        parameters = environment.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
        key = parameters[0]["Value"] if parameters else ""
        table = environment.outputs["LedgerTableName"]
        return cls(environment.client("dynamodb"), table, shards_of(environment.name), key)

    def get(self, message_id: str) -> Record | None:
        """Return the record of a message."""
        key = {"pk": {"S": f"{MESSAGE_ROW}{message_id}"}}
        item = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return Record.from_row(decode_item(item)) if item else None

    def find_by_address(self, address: str) -> Iterator[Record]:
        """Yield the messages to an address, newest first."""
        recipient = keyed_hash(self.address_key, canonical(address))
        return self._records(self._keys("by_recipient", "recipient", recipient))

    def find_by_provider_id(self, provider_id: str) -> Iterator[Record]:
        """Yield the messages with this id at their provider."""
        return self._records(self._keys("by_provider_id", "provider_id", provider_id))

    def find(self, since: float = 0, until: float = MAX_TIME, tenant: str = "") -> Iterator[Record]:
        """Yield the messages accepted in a period, newest first: of one tenant, or of all."""
        if tenant == DEFAULT_TENANT:  # has no index of its own: see mailroom/ledger/table.py
            records = self._between(_hex(since), _hex(until))
            return (record for record in records if record.tenant == tenant)
        return self._between(_hex(since), _hex(until), tenant)

    def find_by_prefix(self, prefix: str) -> Iterator[Record]:
        """Yield the messages whose id begins with `prefix`, newest first."""
        return self._between(prefix, prefix)

    def _between(self, first: str, last: str, tenant: str = "") -> Iterator[Record]:
        """Yield the messages from the first id that begins with `first` to the last one that begins with `last`."""
        shards = [f"{shard:x}" for shard in range(self.shards)]
        bounds = f"{MESSAGE_ROW}{first}", f"{MESSAGE_ROW}{last}g"  # "g" follows every hexadecimal digit
        if tenant:
            query = partial(self._keys, "by_tenant", "tenant_shard", bounds=bounds)
            partitions = [query(f"{tenant}#{shard}") for shard in shards]
        else:
            query = partial(self._keys, "by_time", "shard", bounds=bounds)
            partitions = [query(shard) for shard in shards]
        return self._records(heapq.merge(*_started(partitions), reverse=True))

    def tallies(self, keys: Iterable[TallyKey]) -> dict[TallyKey, dict[str, float]]:
        """Return the counters of hours by name, such as `sent/resend`: of tenants, or of everyone."""
        tallies: dict[TallyKey, dict[str, float]] = {key: {} for key in keys}
        pks = [f"tally#{tenant}#{hour}#{shard:x}" for tenant, hour in tallies for shard in range(self.shards)]
        with ThreadPoolExecutor(MAX_CONCURRENT_READS) as pool:
            for rows in pool.map(self._read, _chunks(pks)):
                for pk, row in rows.items():
                    _, tenant, hour, _ = pk.split("#")
                    counters = tallies[tenant, hour]
                    for name, number in row.items():
                        if "/" in name:
                            counters[name] = counters.get(name, 0) + number
        return tallies

    def suppressions(self, tenant: str = "", *, before: str = "", address: str = "") -> Iterator[Row]:
        """Yield the rows of the suppression list: of one tenant or of all; after a key, or of one address only."""
        partition = (
            ("by_tenant", "tenant_shard", f"{tenant}#suppressed") if tenant else ("by_time", "shard", "suppressed")
        )
        recipient = f"#{keyed_hash(self.address_key, canonical(address))}" if address else ""
        keys = self._keys(*partition, before=before, page_size=LONG_PAGE_SIZE)
        keys = (key for key in keys if key.endswith(recipient))
        return (row for row in self.rows(keys) if "since" in row)  # an index may still list a removed entry

    def rows(self, keys: Iterable[str], *, is_consistent: bool = False) -> Iterator[Row]:
        """Yield the rows that exist, in the order of their keys."""
        for chunk in _chunks(keys):
            rows = self._read(chunk, is_consistent)
            yield from (rows[key] for key in chunk if key in rows)

    def _records(self, keys: Iterable[str]) -> Iterator[Record]:
        return map(Record.from_row, self.rows(keys))

    def _read(self, keys: list[str], is_consistent: bool = False) -> dict[str, Row]:
        query = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": is_consistent}
        request: Any = {self.table: query}
        rows: dict[str, Row] = {}
        backoff = 0.05
        while request:
            answer = self.dynamodb.batch_get_item(RequestItems=request)
            rows |= {row["pk"]: row for row in map(decode_item, answer["Responses"].get(self.table, []))}
            if request := answer.get("UnprocessedKeys"):  # the table is busy: sending mail comes first
                sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)
        return rows

    def _keys(
        self,
        index: str,
        name: str,
        value: str,
        *,
        bounds: tuple[str, str] | None = None,
        before: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Iterator[str]:
        """Yield the keys of one partition of an index, newest first."""
        query: dict[str, Any] = {
            "TableName": self.table,
            "IndexName": index,
            "KeyConditionExpression": "#name = :value",
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {":value": {"S": value}},
            "ScanIndexForward": False,
            "Limit": page_size,
        }
        if bounds:
            query["KeyConditionExpression"] += " AND pk BETWEEN :first AND :last"
            query["ExpressionAttributeValues"] |= {":first": {"S": bounds[0]}, ":last": {"S": bounds[1]}}
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
    """Return a time in the form that message ids begin with."""
    return f"{max(0, int(moment * 1000)):012x}"


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    keys = iter(keys)
    while chunk := list(islice(keys, PAGE_SIZE)):
        yield chunk


def _started(partitions: list[Iterator[str]]) -> list[Iterator[str]]:
    """Send the first request of each partition concurrently."""
    if len(partitions) == 1:
        return partitions
    with ThreadPoolExecutor(len(partitions)) as pool:
        firsts = list(pool.map(lambda keys: list(islice(keys, 1)), partitions))
    return [chain(first, keys) for first, keys in zip(firsts, partitions, strict=True)]
