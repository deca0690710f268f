"""Ledger queries by address, tenant and time, over one shard and over sixteen."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.model.message import Parcel
from mailroom.model.record import Record
from mailroom_ops.ledger.queries import LedgerQueries
from tests.factories import KEY, NOW, sent
from tests.ledger.helpers import message_at

HOUR = 3600.0


@pytest.fixture(params=[1, 16], ids=["one shard", "sixteen shards"])
def spread(request: pytest.FixtureRequest, aws: Aws, queries: LedgerQueries) -> tuple[Ledger, LedgerQueries]:
    return Ledger(aws, "ledger", request.param), replace(queries, shards=request.param)


def ids(records: Iterator[Record]) -> list[str]:
    return [record.message_id for record in records]


def test_messages_of_a_tenant_come_newest_first(spread: tuple[Ledger, LedgerQueries]) -> None:
    ledger, queries = spread
    ours = [sent(ledger, message_at(NOW + n)) for n in range(30)]
    theirs = [sent(ledger, message_at(NOW + n + 0.5, tenant="acme")) for n in range(5)]
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [mail.id for mail in reversed(ours)]
    assert ids(queries.find(NOW, NOW + HOUR, "acme")) == [mail.id for mail in reversed(theirs)]
    everything = sorted([*ours, *theirs], key=lambda mail: mail.created_at, reverse=True)
    assert ids(queries.find(NOW, NOW + HOUR)) == [mail.id for mail in everything]


def test_a_period_is_exact_to_the_millisecond(spread: tuple[Ledger, LedgerQueries]) -> None:
    ledger, queries = spread
    mails = [sent(ledger, message_at(NOW + n / 1000)) for n in range(10)]
    assert ids(queries.find(NOW + 0.003, NOW + 0.006)) == [mail.id for mail in reversed(mails[3:7])]
    assert ids(queries.find(NOW + 1)) == []


def test_all_pages_of_an_index_are_read(aws: Aws, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom_ops.ledger.queries.PAGE_SIZE", 10)
    ledger, queries = Ledger(aws, "ledger", 1), replace(queries, shards=1)
    mails = [message_at(NOW + n) for n in range(23)]
    for mail in mails:
        ledger.claim(Parcel.of(mail), KEY, "token", NOW)
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [mail.id for mail in reversed(mails)]
    assert len(ids(queries.find_by_address("reader@example.com"))) == 23


def test_reads_of_a_busy_table_back_off_until_every_row_is_read(
    ledger: Ledger, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("mailroom_ops.ledger.queries.sleep", pauses.append)
    mails = [sent(ledger, message_at(NOW + n)) for n in range(8)]

    def withhold(parsed: dict[str, Any], **_: Any) -> None:
        """Answer as DynamoDB does when it is busy: with one row, and the other keys."""
        late = parsed["Responses"]["ledger"][1:]
        parsed["Responses"]["ledger"] = parsed["Responses"]["ledger"][:1]
        if late:
            parsed["UnprocessedKeys"] = {"ledger": {"Keys": [{"pk": row["pk"]} for row in late]}}

    queries.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", withhold)
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [mail.id for mail in reversed(mails)]
    assert len(pauses) == 7
    assert pauses[-1] > 8 * pauses[0]
    assert max(pauses) <= 2


def test_a_burst_of_one_tenant_is_spread_over_the_shards(ledger: Ledger, aws: Aws) -> None:
    for n in range(160):
        ledger.claim(Parcel.of(message_at(NOW + n / 1000, tenant="acme")), KEY, "token", NOW)
    items = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    shards = Counter(item["tenant_shard"]["S"] for item in items)
    assert len(shards) == 16
    assert max(shards.values()) < 3 * 160 / 16


def test_a_mail_of_the_default_tenant_is_in_one_index_less(ledger: Ledger, queries: LedgerQueries, aws: Aws) -> None:
    mails = [sent(ledger, message_at(NOW + n, tenant="acme" if n % 3 else "default")) for n in range(9)]
    items = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    indexed = {item["tenant"]["S"] for item in items if "tenant_shard" in item}

    assert indexed == {"acme"}
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [mail.id for mail in reversed(mails[::3])]
    assert ids(queries.find(NOW, NOW + HOUR)) == [mail.id for mail in reversed(mails)]


def test_a_recipient_is_found_by_any_spelling_of_the_address(ledger: Ledger, queries: LedgerQueries) -> None:
    mails = [sent(ledger, message_at(NOW + n, tenant=tenant)) for n, tenant in enumerate(("default", "acme"))]
    sent(ledger, message_at(NOW, to="other@example.com"))
    assert ids(queries.find_by_address("Reader@EXAMPLE.com")) == [mail.id for mail in reversed(mails)]
    assert ids(replace(queries, address_key="another environment").find_by_address("reader@example.com")) == []
