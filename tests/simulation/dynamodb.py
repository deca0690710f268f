"""A model of one DynamoDB table with indexes that project keys only."""

import marshal
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tests.simulation.expressions import Change, Invalid, Item, Names, Predicate, condition, update

__all__ = ["Table"]

MAX_PARTITION_KEY = 2048  # bytes
MAX_SORT_KEY = 1024
MAX_ITEM = 400 * 1024

Answer = tuple[int, dict[str, Any]]


class Table:
    """The API of DynamoDB over one table: what an operation answers, as status and JSON."""

    def __init__(self, name: str, key: str, indexes: Mapping[str, tuple[str, ...]]) -> None:
        self.name = name
        self.key = key
        self.indexes = indexes
        self._limits = {  # of the attributes that are keys of indexes: bytes, the fewest of several, and the index
            attribute: (limit, name)
            for place, limit in enumerate((MAX_PARTITION_KEY, MAX_SORT_KEY))
            for name, attributes in indexes.items()
            for attribute in attributes[place : place + 1]
        }
        self.items: dict[str, Item] = {}
        self.writes = 0

    def request(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        try:
            match operation:
                case "GetItem":
                    item = self.items.get(self._key(payload["Key"]))
                    return 200, {} if item is None else {"Item": item}
                case "PutItem":
                    return self._write([("Put", payload)], single=payload)
                case "UpdateItem":
                    return self._write([("Update", payload)], single=payload)
                case "DeleteItem":
                    return self._write([("Delete", payload)], single=payload)
                case "TransactWriteItems":
                    return self._transact(payload)
                case "BatchWriteItem":
                    return self._batch_write(payload)
                case "BatchGetItem":
                    return self._batch_get(payload)
                case "Query":
                    return self._query(payload)
            return _error("UnknownOperationException", f"{operation} is not modeled")
        except Invalid as error:
            return _error("ValidationException", str(error))

    def _key(self, key: Mapping[str, Any]) -> str:
        if list(key) != [self.key] or list(key[self.key]) != ["S"]:
            raise Invalid("The provided key element does not match the schema")
        value: str = key[self.key]["S"]
        if not value:
            raise Invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                f"an empty string value. Key: {self.key}"
            )
        if len(value.encode()) > MAX_PARTITION_KEY:
            raise Invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size")
        return value

    def _check(self, item: Item) -> None:
        self._key({self.key: item.get(self.key, {})})
        for attribute in self._limits.keys() & item.keys():
            limit, name = self._limits[attribute]
            value = item[attribute].get("S")
            if value is None:
                raise Invalid(f"Type mismatch for Index Key {attribute} Expected: S IndexName: {name}")
            if not value:
                raise Invalid(
                    "One or more parameter values are not valid. A value specified for a secondary index key is "
                    f"not supported: empty string. IndexName: {name}, IndexKey: {attribute}"
                )
            if len(value.encode()) > limit:
                raise Invalid(f"Size of hashkey has exceeded the maximum size limit of {limit} bytes: {attribute}")
        if len(item) > 4 and len(marshal.dumps(item)) > MAX_ITEM:  # several times as fast as JSON, about as long
            raise Invalid("Item size has exceeded the maximum allowed size")

    def _prepare(self, kind: str, write: Mapping[str, Any]) -> tuple[str, Item | None, bool]:
        """Return which item a write is about, what it makes of it, and whether its condition holds."""
        names = tuple(write.get("ExpressionAttributeNames", {}).items())
        values = write.get("ExpressionAttributeValues", {})
        predicate, change = _compiled(
            write.get("ConditionExpression", ""), write.get("UpdateExpression", ""), names, tuple(values)
        )
        pk = self._key({self.key: write["Item"].get(self.key, {})} if kind == "Put" else write["Key"])
        old = self.items.get(pk)
        if predicate and not predicate(old or {}, values):
            return pk, old, False
        match kind:
            case "Put":
                self._check(write["Item"])
                return pk, write["Item"], True
            case "Update":
                base = old if old is not None else {self.key: {"S": pk}}
                if not change:
                    return pk, base, True
                new = change(base, values)
                if new.get(self.key) != {"S": pk}:
                    raise Invalid("Cannot update attribute: This attribute is part of the key")
                self._check(new)
                return pk, new, True
            case "Delete":
                return pk, None, True
        return pk, old, True  # ConditionCheck

    def _write(self, writes: list[tuple[str, Mapping[str, Any]]], single: Mapping[str, Any]) -> Answer:
        ((kind, write),) = writes
        pk, new, holds = self._prepare(kind, write)
        old = self.items.get(pk)
        if not holds:
            body: dict[str, Any] = {"message": "The conditional request failed"}
            if single.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None:
                body["Item"] = old
            return 400, {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", **body}
        self._store(pk, new)
        returned_values = single.get("ReturnValues", "NONE")
        returned = {"ALL_OLD": old, "ALL_NEW": new}.get(returned_values)
        return 200, {"Attributes": returned} if returned else {}

    def _store(self, pk: str, new: Item | None) -> None:
        self.writes += 1
        if new is None:
            self.items.pop(pk, None)
        else:
            self.items[pk] = new

    def _transact(self, payload: Mapping[str, Any]) -> Answer:
        actions = [(kind, write) for action in payload["TransactItems"] for kind, write in action.items()]
        if not 1 <= len(actions) <= 100:
            raise Invalid("Member must have length less than or equal to 100")
        prepared = [(kind, write, *self._prepare(kind, write)) for kind, write in actions]
        if len({pk for _, _, pk, _, _ in prepared}) < len(prepared):
            raise Invalid("Transaction request cannot include multiple operations on one item")
        if not all(holds for *_, holds in prepared):
            reasons: list[dict[str, Any]] = []
            for _, write, pk, _, holds in prepared:
                reason: dict[str, Any] = {"Code": "None"}
                if not holds:
                    reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
                    if write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and pk in self.items:
                        reason["Item"] = self.items[pk]
                reasons.append(reason)
            codes = ", ".join(reason["Code"] for reason in reasons)
            return 400, {
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
                "CancellationReasons": reasons,
            }
        for kind, _, pk, new, _ in prepared:
            if kind != "ConditionCheck":
                self._store(pk, new)
        return 200, {}

    def _batch_write(self, payload: Mapping[str, Any]) -> Answer:
        requests = payload["RequestItems"][self.name]
        if not 1 <= len(requests) <= 25:
            raise Invalid("Too many items requested for the BatchWriteItem call")
        for request in requests:
            if "PutRequest" in request:
                self._check(request["PutRequest"]["Item"])
        for request in requests:
            if "PutRequest" in request:
                item = request["PutRequest"]["Item"]
                self._store(item[self.key]["S"], item)
            else:
                self._store(self._key(request["DeleteRequest"]["Key"]), None)
        return 200, {"UnprocessedItems": {}}

    def _batch_get(self, payload: Mapping[str, Any]) -> Answer:
        keys = payload["RequestItems"][self.name]["Keys"]
        if not 1 <= len(keys) <= 100:
            raise Invalid("Too many items requested for the BatchGetItem call")
        found = [self.items[pk] for pk in map(self._key, keys) if pk in self.items]
        return 200, {"Responses": {self.name: found}, "UnprocessedKeys": {}}

    def _query(self, payload: Mapping[str, Any]) -> Answer:
        attributes = self.indexes[payload["IndexName"]] if "IndexName" in payload else (self.key,)
        names, values = payload.get("ExpressionAttributeNames", {}), payload.get("ExpressionAttributeValues", {})
        matches = condition(payload["KeyConditionExpression"], tuple(names.items()))
        items = [item for item in self.items.values() if attributes[0] in item and matches(item, values)]
        items.sort(key=lambda item: item.get(attributes[-1], {}).get("S", ""))
        if payload.get("ScanIndexForward") is False:
            items.reverse()
        items = items[: payload.get("Limit", len(items))]
        if "IndexName" in payload:  # keys only
            kept = {self.key, *attributes}
            items = [{name: value for name, value in item.items() if name in kept} for item in items]
        return 200, {"Items": items, "Count": len(items)}


def _error(code: str, message: str) -> Answer:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}


@lru_cache(4096)
def _compiled(
    condition_text: str, update_text: str, names: Names, values: tuple[str, ...]
) -> tuple[Predicate | None, Change | None]:
    """Return the condition and the change of a write; `names` and `values` are all that its expressions may use."""
    text = f"{condition_text} {update_text}"
    if unused := next((placeholder for placeholder in (*dict(names), *values) if placeholder not in text), ""):
        raise Invalid(f"Value provided in the expression attributes unused in expressions: {unused}")
    predicate = condition(condition_text, names) if condition_text else None
    return predicate, update(update_text, names) if update_text else None
