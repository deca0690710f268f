"""The suppression list as operators work on it."""

import io
import time
from collections import Counter
from dataclasses import replace

import pytest

from mailroom.aws.client import Aws
from mailroom.feedback.suppression import Cause, Suppressions
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Ledger
from mailroom.model.kinds import Lane
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from tests.factories import KEY, message, row


def test_an_address_is_added_listed_and_removed(ledger: Ledger, queries: LedgerQueries) -> None:
    suppressions.add(queries, "default", "Reader@example.com", {Lane.NOTICES: 30})
    suppressions.add(queries, "acme", "reader@example.com", {Lane.NOTICES: 1, Lane.CODES: 1}, Cause.BOUNCE)
    ours, both = list(suppressions.entries(queries, "default")), list(suppressions.entries(queries))
    assert [(entry.tenant, entry.address, entry.cause, entry.source) for entry in ours] == [
        ("default", "Reader@example.com", "manual", "operator")
    ]
    assert (ours[0].codes_until, len(both)) == (None, 2)
    assert ledger.is_suppressed(message(), Lane.NOTICES, KEY, time.time())
    assert not ledger.is_suppressed(message(), Lane.CODES, KEY, time.time())
    assert suppressions.remove(queries, "default", "READER@example.com")
    assert not suppressions.remove(queries, "default", "reader@example.com")
    assert not ledger.is_suppressed(message(), Lane.NOTICES, KEY, time.time())


def test_the_mark_of_a_removal_is_not_an_entry(aws: Aws, ledger: Ledger, queries: LedgerQueries) -> None:
    suppressions.add(queries, "default", "reader@example.com", {Lane.NOTICES: 30})
    (pk,) = (entry["pk"] for entry in queries.suppressions())
    assert suppressions.remove(queries, "default", "reader@example.com")
    mark = row(aws, "ledger", pk)
    assert set(mark) == {"pk", "removed_at", "ttl"}, "no address"
    assert mark["ttl"] > time.time() + 30 * 86400, "longer than the row of any mail that the removal can be about"
    assert list(suppressions.entries(queries)) == list(suppressions.entries(queries, "default")) == []
    assert list(suppressions.find(queries, "reader@example.com")) == []
    assert suppressions.read_page(queries) == suppressions.Page([], "")
    assert suppressions.write_csv(suppressions.entries(queries), io.StringIO()) == 0
    assert not suppressions.remove(queries, "default", "reader@example.com")
    suppressions.add(queries, "default", "reader@example.com", {Lane.NOTICES: 1})
    assert [entry.address for entry in suppressions.entries(queries)] == ["reader@example.com"]


def test_an_index_that_still_has_a_removed_entry_does_not_list_it(
    aws: Aws, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        suppressions.add(queries, "default", f"r{number}@example.com", {Lane.NOTICES: 30})
    outdated = list(queries._keys("by_time", "shard", "suppressed"))
    suppressions.remove(queries, "default", "r1@example.com")
    monkeypatch.setattr(LedgerQueries, "_keys", lambda *_, **__: iter(outdated))
    assert len(list(suppressions.entries(queries))) == len(suppressions.read_page(queries).entries) == 2


def test_an_export_can_be_imported_again(ledger: Ledger, queries: LedgerQueries) -> None:
    for number in range(5):
        suppressions.add(queries, "default", f"r{number}@example.com", {Lane.CODES: 3, Lane.NOTICES: 200}, Cause.BOUNCE)
    before = io.StringIO()
    assert suppressions.write_csv(suppressions.entries(queries), before) == 5
    for number in range(5):
        suppressions.remove(queries, "default", f"r{number}@example.com")
    imported = suppressions.read_csv(io.StringIO(before.getvalue()))
    assert len(list(suppressions.add_all(queries, imported))) == 5
    after = io.StringIO()
    suppressions.write_csv(suppressions.entries(queries), after)
    assert sorted(after.getvalue().splitlines()) == sorted(before.getvalue().splitlines())


def test_a_list_of_addresses_alone_is_imported_for_the_named_tenant(queries: LedgerQueries) -> None:
    (entry,) = suppressions.read_csv(io.StringIO("Email,Created\nada@example.com,2020\n"), "acme")
    assert (entry.tenant, entry.address, entry.cause) == ("acme", "ada@example.com", "manual")
    assert entry.codes_until == entry.notices_until
    assert list(suppressions.add_all(queries, [entry])) == [entry]
    assert [entry.tenant for entry in suppressions.entries(queries, "acme")] == ["acme"]


def test_an_entry_that_has_ended_is_not_imported(queries: LedgerQueries) -> None:
    lines = "address,cause,notices_until\nada@example.com,bounce,2020-01-01\n"
    list(suppressions.add_all(queries, suppressions.read_csv(io.StringIO(lines), "default")))
    assert list(suppressions.entries(queries)) == []


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("name\nada\n", []),
        ("", []),
        ("address,tenant\nada@example.com,default\nno address,default\n", ["line 3: the address is invalid"]),
        ("address,tenant\nada@example.com,Not A Tenant\n", ["line 2: the tenant is missing or invalid"]),
        ("address,cause\nada@example.com,boredom\n", ["line 2: the cause is not one of bounce"]),
        ("address,codes_until\nada@example.com,tomorrow\n", ["line 2: a date is not"]),
        ("address,tenant\n,\n,\n", ["line 2", "line 3"]),
    ],
)
def test_each_invalid_line_is_named_without_its_address(text: str, details: list[str]) -> None:
    with pytest.raises(InvalidInput) as error:
        suppressions.read_csv(io.StringIO(text), "default")
    assert len(error.value.details) == len(details)
    for detail, expected in zip(error.value.details, details, strict=True):
        assert detail.startswith(expected)
        assert "@" not in detail


@pytest.mark.parametrize("text", ["email\nada@example.com\reve@example.com\n", f"email\n{'a' * 140_000}\n"])
def test_a_list_that_is_no_csv_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not valid CSV"):
        suppressions.read_csv(io.StringIO(text), "default")


@pytest.mark.parametrize("address", ["", "ada", "a@b.c, d@e.f", "Ada <ada@example.com>"])
def test_an_invalid_address_is_an_error(queries: LedgerQueries, address: str) -> None:
    with pytest.raises(InvalidInput):
        suppressions.add(queries, "default", address, {Lane.NOTICES: 1})


def count_calls(queries: LedgerQueries) -> Counter[str]:
    """Return the number of calls to DynamoDB by operation, from now on."""
    calls: Counter[str] = Counter()
    queries.dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: calls.update([model.name]))
    return calls


def test_a_long_list_is_imported_in_few_calls(queries: LedgerQueries) -> None:
    lines = "".join(f"r{number}@example.com\n" for number in range(250))
    entries = suppressions.read_csv(io.StringIO(f"email\n{lines}"), "default")
    assert suppressions.plan_import(queries, entries) == suppressions.ImportPlan(new=250)
    calls = count_calls(queries)
    assert len(list(suppressions.add_all(queries, entries))) == 250
    assert calls == {"BatchGetItem": 3, "BatchWriteItem": 10}
    assert len(list(suppressions.entries(queries))) == 250
    assert suppressions.plan_import(queries, entries) == suppressions.ImportPlan(unchanged=250)


def test_of_an_address_that_is_listed_twice_the_longest_period_counts(queries: LedgerQueries) -> None:
    others = "".join(f"r{number}@example.com,2031-01-01\n" for number in range(250))
    lines = f"email,codes_until\nada@example.com,2033-01-01\n{others}Ada@example.com,2032-01-01\n"
    entries = suppressions.read_csv(io.StringIO(lines), "default")
    assert len(list(suppressions.add_all(queries, entries))) == 251
    (entry,) = suppressions.find(queries, "ada@example.com")
    assert entry.codes_until
    assert entry.codes_until.year == 2033


def test_an_import_never_shortens_a_suppression(queries: LedgerQueries) -> None:
    suppressions.add(queries, "default", "long@example.com", {Lane.CODES: 50, Lane.NOTICES: 5000}, Cause.COMPLAINT)
    suppressions.add(queries, "default", "short@example.com", {Lane.CODES: 50, Lane.NOTICES: 1}, Cause.BOUNCE)
    lines = "email,codes_until,notices_until\nlong@example.com,,2031-01-01\nSHORT@example.com,,2031-01-01\n"
    entries = suppressions.read_csv(io.StringIO(lines), "default")
    assert suppressions.plan_import(queries, entries) == suppressions.ImportPlan(extended=1, unchanged=1)
    list(suppressions.add_all(queries, entries))
    stored = {entry.address.lower(): entry for entry in suppressions.entries(queries)}
    assert stored["long@example.com"].cause == "complaint"
    assert all(entry.codes_until for entry in stored.values())
    assert f"{stored['short@example.com'].notices_until:%Y-%m-%d}" == "2031-01-01"


def test_an_event_during_an_addition_keeps_its_longer_period(aws: Aws, queries: LedgerQueries) -> None:
    reports = [{Lane.CODES: 7.0, Lane.NOTICES: 180.0}]
    recipient = keyed_hash(KEY, "reader@example.com")

    def report(**_: object) -> None:
        if reports:
            add = Suppressions(aws, "ledger").add
            add("default", recipient, "reader@example.com", Cause.BOUNCE, reports.pop(), "resend", time.time())

    queries.dynamodb.meta.events.register("before-call.dynamodb.PutItem", report)
    suppressions.add(queries, "default", "reader@example.com", {Lane.NOTICES: 1})
    (entry,) = suppressions.entries(queries)
    assert entry.codes_until
    assert entry.notices_until
    assert (entry.notices_until - entry.codes_until).days == 173


def test_writes_that_a_busy_table_leaves_out_are_repeated(queries: LedgerQueries) -> None:
    answers = [{"ledger": [{"PutRequest": {"Item": {"pk": {"S": "suppressed#default#0"}}}}]}]

    def leave_out(parsed: dict[str, object], **_: object) -> None:
        parsed["UnprocessedItems"] = answers.pop() if answers else {}

    queries.dynamodb.meta.events.register("after-call.dynamodb.BatchWriteItem", leave_out)
    calls = count_calls(queries)
    list(suppressions.add_all(queries, suppressions.read_csv(io.StringIO("email\na@example.com\n"), "default")))
    assert calls["BatchWriteItem"] == 2


def test_nothing_is_written_without_the_key_of_the_hashes(queries: LedgerQueries) -> None:
    without = replace(queries, address_key="")
    with pytest.raises(ServiceError):
        suppressions.add(without, "default", "reader@example.com", {Lane.NOTICES: 1})
    assert list(suppressions.find(without, "reader@example.com")) == []
