"""The ledger's indexes as a Query of DynamoDB reads them: keys only, in order, page by page."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailroom_ops.cloudformation import loader

__all__ = ["Indexes"]

TABLE = loader.load(Path(__file__).parents[1] / "template.yaml")["Resources"]["LedgerTable"]["Properties"]
PARTITION = re.compile(r"(#?\w+) = (:\w+)")
BETWEEN = re.compile(r"pk BETWEEN (:\w+) AND (:\w+)")
BEFORE = re.compile(r"pk < (:\w+)")

Row = dict[str, Any]


class Indexes:
    """The indexes of template.yaml, over rows that no longer change."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        names = {
            index["IndexName"]: index["KeySchema"][0]["AttributeName"] for index in TABLE["GlobalSecondaryIndexes"]
        }
        self._keys: dict[str, dict[str, list[str]]] = {index: {} for index in names}
        for pk in sorted(rows):
            for index, name in names.items():
                if value := rows[pk].get(name):
                    self._keys[index].setdefault(value["S"], []).append(pk)

    def query(self, request: Row) -> Row:
        """Answer the conditions that the product uses: a partition, and its keys before one or between two."""
        condition = request["KeyConditionExpression"]
        values = {name: value["S"] for name, value in request["ExpressionAttributeValues"].items()}
        alias, value = PARTITION.match(condition).groups()  # type: ignore[union-attr]  # there is no Query without
        keys = self._keys[request["IndexName"]].get(values[value], [])
        first, end = 0, len(keys)
        if between := BETWEEN.search(condition):
            first, end = bisect_left(keys, values[between[1]]), bisect_right(keys, values[between[2]])
        if before := BEFORE.search(condition):
            end = bisect_left(keys, values[before[1]])
        forward, start = request.get("ScanIndexForward", True), request.get("ExclusiveStartKey")
        if start and forward:
            first = max(first, bisect_right(keys, start["pk"]["S"]))
        elif start:
            end = min(end, bisect_left(keys, start["pk"]["S"]))
        limit = min(request.get("Limit", end), max(0, end - first))
        selected = keys[first : first + limit] if forward else keys[end - limit : end][::-1]
        name = request.get("ExpressionAttributeNames", {}).get(alias, alias)
        items = [{"pk": {"S": pk}, name: {"S": values[value]}} for pk in selected]
        # A full page names its last key, even where nothing follows.
        is_full = items and limit == request.get("Limit")
        return {"Items": items, "Count": limit} | ({"LastEvaluatedKey": items[-1]} if is_full else {})
