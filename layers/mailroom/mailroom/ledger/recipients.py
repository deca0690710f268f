"""The rows of recipients: the newest code of each kind, and the codes of the last ten minutes.

recipient#{hash}  one per tenant and address. `{kind}`: the newest code of a kind; `dead_before`, the time up to which
                  older ones are dead; `earlier`, those that a repeated request may be about. `recent`: the time of
                  each code in the last ten minutes; `recent_at`: of the last of them
client#{hash}     one per tenant and client IP, with `recent`
once#{hash}       one per distinct notice: deduplication of kinds that do not supersede each other

A first code within ten minutes costs one write, a further one two: the first of them fails, and returns the row.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.errors import TemporaryFailure
from mailroom.ledger.hashes import keyed_hash
from mailroom.model.kinds import Lane
from mailroom.model.limits import WINDOW_SECONDS, Limits, client_network, limited_address
from mailroom.model.message import Message

__all__ = ["Recipients", "Standing", "is_superseded", "recipient_row"]

RETENTION_SECONDS = 30 * 24 * 3600
NO_LIMITS = Limits(0, 0, 0)
MAX_WRITES = 60  # of one row, where other processes change it in between
MAX_EARLIER = 5  # codes of a kind that are kept besides the newest one
ID_LENGTH = 12  # of the end of a message's id, which is random

Row = Mapping[str, Any]


class Standing(StrEnum):
    """The place of a message among the others for the same recipient."""

    CURRENT = "current"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    LIMITED = "rate_limited"


@dataclass(frozen=True, slots=True)
class Mark:
    """The standing of a message that was marked as the newest, and the id of a code that was valid until then."""

    standing: Standing
    replaced: str = ""


Decision = tuple[Standing, dict[str, Any]]  # the attributes to write; none where the row stays as it is


@dataclass(frozen=True, slots=True)
class Write:
    """Attributes of a row, and the condition of their write, with its names and values."""

    attributes: Mapping[str, Any]
    condition: str
    names: Mapping[str, str]
    values: Mapping[str, Any]

    def joined(self, other: "Write") -> "Write":
        """Return both as one write, which needs both conditions."""
        return Write(
            {**self.attributes, **other.attributes},
            f"({self.condition}) AND ({other.condition})",
            {**self.names, **other.names},
            {**self.values, **other.values},
        )


class Recipients:
    """Reads and writes the rows of recipients; every write is conditional, so that none is lost."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._aws = aws
        self._table = table

    def mark_latest(self, message: Message, key: str, now: float, limits: Limits = NO_LIMITS) -> Mark:
        """Record a message as the newest of its kind, unless a newer one is known, and count it; return its standing.

        `key` is the key that addresses are hashed with. A message that exceeds the limits changes nothing. To count it
        again is to count it once.
        """
        address, shared_address = message.to.lower(), limited_address(message.to)
        own = recipient_row(message.tenant, address, key)
        shared = own if shared_address == address else recipient_row(message.tenant, shared_address, key)
        limits = limits if message.lane is Lane.CODES else NO_LIMITS
        if limits.applies_to_recipients and (own != shared or not message.supersedes):
            if self._count(shared, message, now, limits) is Standing.LIMITED:
                return Mark(Standing.LIMITED)
            limits = NO_LIMITS
        if not message.identity:
            return Mark(Standing.CURRENT)
        # Keyed: without a key, a code of six digits is found by a million guesses.
        identity = keyed_hash(key, message.identity)
        kind, row = (message.kind, own) if message.supersedes else ("notice", f"once#{identity}")
        latest = {"message": message.id, "identity": identity, "created": float(message.created_at)}
        first = _newest(message, kind, latest)
        if limits.applies_to_recipients:
            first = first.joined(_first_of_window(message, now))
        standing, before = self._write(row, now, first, lambda row: _decide(row, message, kind, latest, now, limits))
        return Mark(standing, _replaced(before.get(kind, {}), message) if standing is Standing.CURRENT else "")

    def count(self, message: Message, key: str, now: float, limits: Limits) -> Standing:
        """Count a code that is not sent for another reason, so that nobody learns by a limit which ones are not."""
        if message.lane is not Lane.CODES or not limits.applies_to_recipients:
            return Standing.CURRENT
        return self._count(recipient_row(message.tenant, limited_address(message.to), key), message, now, limits)

    def count_client(self, message: Message, key: str, now: float, limits: Limits) -> Standing:
        """Count a code for the client that caused it."""
        network = client_network(message.client_ip)
        if message.lane is not Lane.CODES or not network or not limits.per_client:
            return Standing.CURRENT
        row = f"client#{keyed_hash(key, json.dumps([message.tenant, network]))}"
        return self._count(row, message, now, Limits(limits.per_client, 0, 0))

    def _count(self, row: str, message: Message, now: float, limits: Limits) -> Standing:
        first = _first_of_window(message, now)
        return self._write(row, now, first, lambda row: _counted(row, message, now, limits))[0]

    def _write(self, pk: str, now: float, first: Write, decide: Callable[[Row], Decision]) -> tuple[Standing, Row]:
        """Write `first` where its condition holds; else read the row and write what is decided by it.

        Return the standing, and the row as it was before.
        """
        try:
            return Standing.CURRENT, self._update(pk, now, first)
        except AwsError as error:
            row = _row_of(error)
        for _ in range(MAX_WRITES):
            standing, changes = decide(row)
            if not changes:
                return standing, row
            try:
                seen = {":seen": row.get("version", "")}
                self._update(pk, now, Write(changes, "#version = :seen", {"#version": "version"}, seen))
            except AwsError as error:
                row = _row_of(error)
            else:
                return standing, row
        raise TemporaryFailure("ledger", "contended")

    def _update(self, pk: str, now: float, write: Write) -> Row:
        changes = {**write.attributes, "ttl": int(now + RETENTION_SECONDS), "version": secrets.token_hex(4)}
        sets = {f"#s{number}": name for number, name in enumerate(changes)}
        written = {f":s{number}": encode(value) for number, value in enumerate(changes.values())}
        answer = self._aws.call(
            "dynamodb",
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": {"pk": {"S": pk}},
                "UpdateExpression": f"SET {', '.join(f'#s{n} = :s{n}' for n in range(len(changes)))}",
                "ConditionExpression": write.condition,
                "ExpressionAttributeNames": {**sets, **write.names},
                "ExpressionAttributeValues": written | {name: encode(value) for name, value in write.values.items()},
                "ReturnValues": "ALL_OLD",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
        )
        return decode_item(answer.get("Attributes", {}))


def recipient_row(tenant: str, address: str, key: str) -> str:
    """Return the key of a recipient's row. Limits count in the row of the `limited_address`."""
    return f"recipient#{keyed_hash(key, json.dumps([tenant, address]))}"


def is_superseded(row: Row, message: Message) -> bool:
    """Return whether the row of a message's recipient has a newer code that replaces it."""
    return _standing_by(row.get(message.kind), message) is Standing.SUPERSEDED


def _newest(message: Message, kind: str, latest: Mapping[str, Any]) -> Write:
    """Return the write of a message that is newer than the one in its row, if there is one."""
    newest = {**latest, "dead_before": float(message.dead_before or 0)}
    condition = (
        "attribute_not_exists(#kind) OR ((#kind.#message = :message OR (#kind.#created <= :created AND "
        "(#kind.#identity <> :identity OR #kind.#created < :earlier))) AND #kind.#dead_before <= :dead_before)"
    )
    names = {f"#{name}": name for name in newest} | {"#kind": kind}
    values = {f":{name}": value for name, value in newest.items()}
    return Write({kind: newest}, condition, names, values | {":earlier": message.created_at - message.identity_seconds})


def _first_of_window(message: Message, now: float) -> Write:
    """Return the write that counts a message where none was counted in the last ten minutes."""
    condition = "attribute_not_exists(#recent_at) OR #recent_at <= :idle"
    names, values = {"#recent_at": "recent_at"}, {":idle": now - WINDOW_SECONDS}
    return Write({"recent": {_entry(message): now}, "recent_at": now}, condition, names, values)


def _decide(row: Row, message: Message, kind: str, latest: Mapping[str, Any], now: float, limits: Limits) -> Decision:
    stored = row.get(kind, {})
    is_same = stored.get("message") == message.id
    codes = _codes(stored)
    if message.id not in codes and any(_is_repeated(code, latest, message) for code in codes.values()):
        return Standing.DUPLICATE, {}
    if _standing_by(stored, message) is Standing.SUPERSEDED:
        return Standing.SUPERSEDED, {}
    standing, changes = _counted(row, message, now, limits) if limits.applies_to_recipients else (Standing.CURRENT, {})
    if standing is Standing.LIMITED:
        return standing, {}
    is_newest = not stored or is_same or stored["created"] <= message.created_at
    dead_before = max(float(message.dead_before or 0), stored.get("dead_before", 0.0))
    newest = {**(latest if is_newest else stored), "dead_before": dead_before}
    if earlier := _earlier(codes | {message.id: _code(latest)}, newest, message.identity_seconds):
        newest["earlier"] = earlier
    return Standing.CURRENT, changes | ({kind: newest} if newest != stored else {})


def _codes(stored: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the identity and time of the newest code of a kind, and of those before it, by their ids."""
    return {**stored.get("earlier", {}), stored["message"]: _code(stored)} if stored else {}


def _code(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"identity": entry["identity"], "created": entry["created"]}


def _is_repeated(code: Mapping[str, Any], latest: Mapping[str, Any], message: Message) -> bool:
    is_near: bool = abs(code["created"] - message.created_at) < message.identity_seconds
    return is_near and str(code["identity"]) == latest["identity"]


def _earlier(codes: Mapping[str, dict[str, Any]], newest: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the codes that a repeated request may still be about, besides the newest one."""
    near = {name: code for name, code in codes.items() if newest["created"] - code["created"] < seconds}
    near.pop(newest["message"], None)
    return dict(sorted(near.items(), key=lambda item: item[1]["created"])[-MAX_EARLIER:])


def _counted(row: Row, message: Message, now: float, limits: Limits) -> Decision:
    recent = {entry: at for entry, at in row.get("recent", {}).items() if at > now - WINDOW_SECONDS}
    if _entry(message) in recent:
        return Standing.CURRENT, {}
    if limits.exceeds([entry.partition(" ")[0] for entry in recent], message.kind):
        return Standing.LIMITED, {}
    return Standing.CURRENT, {"recent": recent | {_entry(message): now}, "recent_at": now}


def _replaced(stored: Mapping[str, Any], message: Message) -> str:
    """Return the id of the code that a message replaces, if that is still valid: its reader asks again."""
    is_other = stored.get("message", message.id) != message.id
    if not is_other or message.dead_before is None or stored["created"] > message.dead_before:
        return ""
    is_valid = message.created_at - stored["created"] < message.expires_at - message.created_at
    return str(stored["message"]) if is_valid else ""


def _standing_by(stored: Mapping[str, Any] | None, message: Message) -> Standing:
    is_replaced = stored and stored["message"] != message.id and message.created_at <= stored["dead_before"]
    return Standing.SUPERSEDED if is_replaced else Standing.CURRENT


def _entry(message: Message) -> str:
    return f"{message.kind} {message.id[-ID_LENGTH:]}"


def _row_of(error: AwsError) -> Row:
    if error.code != "ConditionalCheckFailedException":
        raise error
    return decode_item(error.body.get("Item", {}))
