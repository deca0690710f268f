"""The data of a staging environment after 30 days, seeded in memory for bench/console.py."""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.cloud import Cloud
from mailroom.aws.client import Aws, AwsError
from mailroom.aws.dynamodb import encode
from mailroom.errors import TemporaryFailure
from mailroom.feedback.suppression import DEFAULTS, Cause, entry
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Ledger, shards_of, suppression_of
from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status

__all__ = ["DAYS", "Stock"]

DAYS = 30
HOUR = 3600
SUPPRESSED = 5000
ADDRESS_KEY = "made up"
MAILS_PER_READER = 10
TENANTS = {"default": 50, "acme": 20, "birch": 10, "cedar": 8, "delta": 5, "elm": 4, "fir": 2, "gorse": 1}
STATUSES = {
    Status.DELIVERED: 900,
    Status.SENT: 50,
    Status.BOUNCED: 25,
    Status.SKIPPED: 15,
    Status.FAILED: 9,
    Status.COMPLAINED: 1,
}
COUNTED = {"sent/resend": 90, "sent/ses": 40, "delivered/resend": 86, "delivered/ses": 38, "bounced/resend": 2}
QUEUES = "http://127.0.0.1/123456789012/mailroom-staging"
OUTPUTS = {
    "LedgerTableName": "ledger",
    "CodesQueueUrl": f"{QUEUES}-codes",
    "CodesDeadLetterQueueUrl": f"{QUEUES}-codes-dead-letters",
    "NoticesQueueUrl": f"{QUEUES}-notices",
    "NoticesDeadLetterQueueUrl": f"{QUEUES}-notices-dead-letters",
}
SHARDS = shards_of("staging")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stock:
    """The environment and, newest first, the ids of its mails."""

    cloud: Cloud
    ids: list[str]

    @classmethod
    def of(cls, mails: int) -> "Stock":
        cloud, chance, now = Cloud(OUTPUTS), random.Random(0), time.time()  # noqa: S311 - the same each time
        kinds = _kinds(now)
        cloud.rows |= _mails(mails, kinds, chance, now)
        cloud.rows |= _tallies(chance, now)
        cloud.rows |= _suppressions(now)
        cloud.parameters |= _parameters()
        _ = cloud.indexes
        return cls(cloud, [pk.removeprefix("message#") for pk in sorted(cloud.rows, reverse=True) if "message#" in pk])


def address(reader: int) -> str:
    return f"reader{reader}@example.com"


class _Direct(Aws):
    """A client for a stub in the same process."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("eu-west-1")
        self._cloud = cloud

    def call(self, service: str, operation: str, payload: Mapping[str, Any], *, attempts: int = 3) -> dict[str, Any]:
        status, answer = self._cloud.answer(operation, json.loads(json.dumps(payload)))  # as it arrives over HTTP
        if status != 200:
            raise AwsError(service, str(status), answer)
        return answer


def _kinds(now: float) -> dict[Status, Row]:
    """Return a row of each status, written by the ledger itself; all other mails are copies at other times."""
    cloud = Cloud()
    ledger = Ledger(_Direct(cloud), "ledger", SHARDS)
    for status in STATUSES:
        message = Message(status, "default", "sign-in-code", address(0), {"code": "739105"}, now, now + 600, "logto")
        ledger.claim(Parcel.of(message), ADDRESS_KEY, "token", now)
        tries = Attempt(now, "resend", "timeout", error=TemporaryFailure), Attempt(now, "ses", "accepted")
        ledger.finish(status, "token", Outcome(status, "expired", "ses", "made-up", tries), now)
    return {status: cloud.rows[f"message#{status}"] for status in STATUSES}


def _mails(number: int, kinds: Mapping[Status, Row], chance: random.Random, now: float) -> dict[str, Row]:
    """Return mails, spread evenly over the days; each reader gets the same number, for any number of mails."""
    rows: dict[str, Row] = {}
    readers = [keyed_hash(ADDRESS_KEY, address(reader)) for reader in range(number // MAILS_PER_READER)]
    tenants = chance.choices(list(TENANTS), list(TENANTS.values()), k=number)
    statuses = chance.choices(list(STATUSES), list(STATUSES.values()), k=number)
    for n, (tenant, status) in enumerate(zip(tenants, statuses, strict=True)):
        created, shard = now - n * DAYS * 24 * HOUR / number, f"{chance.randrange(SHARDS):x}"
        pk = f"message#{int(created * 1000):012x}{chance.getrandbits(80):020x}"
        own = {
            "pk": pk,
            "tenant": tenant,
            "recipient": readers[n % len(readers)],
            "created": created,
            "shard": shard,
            "tenant_shard": f"{tenant}#{shard}",
            "provider_id": pk[-24:],
        }
        rows[pk] = kinds[status] | {name: encode(value) for name, value in own.items()}
    return rows


def _tallies(chance: random.Random, now: float) -> dict[str, Row]:
    """Return the tallies of each hour, twice as long as DAYS because the page compares two periods: in every shard for
    all tenants together, in fewer for a tenant that sends less."""
    rows: dict[str, Row] = {}
    for scope, share in {EVERYONE: 100, **TENANTS}.items():
        for hour in range(2 * DAYS * 24):
            for shard in chance.sample(range(SHARDS), max(1, SHARDS * share // 100)):
                pk = f"tally#{scope}#{hour_of(now - hour * HOUR)}#{shard:x}"
                rows[pk] = {name: encode(value) for name, value in {"pk": pk, **COUNTED}.items()}
    return rows


def _suppressions(now: float) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    tenants = list(TENANTS)
    for reader in range(SUPPRESSED):
        tenant, who = tenants[reader % len(tenants)], address(reader)
        suppression = entry({}, tenant, who, Cause.BOUNCE, DEFAULTS[Cause.BOUNCE], "ses", now)
        pk = suppression_of(tenant, keyed_hash(ADDRESS_KEY, who))
        rows[pk] = {name: encode(value) for name, value in {"pk": pk, **suppression}.items()}
    return rows


def _parameters() -> dict[str, str]:
    values = {"ledger/address_key": ADDRESS_KEY, "providers/resend/api_key": "re_made_up"}
    for tenant in TENANTS:
        values[f"senders/{tenant}/auth"] = json.dumps({"from": f"{tenant.title()} <no-reply@{tenant}.example.com>"})
        values[f"brands/{tenant}"] = json.dumps({"name": tenant.title()})
        values[f"webhooks/logto/{tenant}/authorization"] = "Bearer made-up"
    return {f"/mailroom/staging/{name}": value for name, value in values.items()}
