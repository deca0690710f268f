"""What an operator can look up, and what the tools make of it."""

import io
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.feedback.suppression import Cause
from mailroom.ledger.table import Ledger
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Outcome, Status
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger import stats, suppressions, tail, trace
from mailroom_ops.ledger.queries import LedgerQueries
from tests.factories import KEY, NOW, message, row, sent

HOUR = 3600.0


@pytest.fixture
def queries(ledger: Ledger, cloud: str) -> LedgerQueries:
    client = boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=cloud)
    return LedgerQueries(client, "ledger", 16, KEY)


@pytest.fixture(params=[1, 16], ids=["one shard", "sixteen shards"])
def spread(request: pytest.FixtureRequest, aws: Aws, queries: LedgerQueries) -> tuple[Ledger, LedgerQueries]:
    return Ledger(aws, "ledger", request.param), replace(queries, shards=request.param)


def at(moment: float, **changes: Any) -> Message:
    """Return a message handed over at a moment, which its id begins with."""
    id_ = f"{int(moment * 1000):012x}{new_id()[12:]}"
    return message(id=id_, created_at=moment, expires_at=moment + 600, **changes)


def ids(rows: Iterator[dict[str, Any]]) -> list[str]:
    return [row["pk"].removeprefix("message#") for row in rows]


def test_a_tenants_mails_come_newest_first_however_they_are_spread(spread: tuple[Ledger, LedgerQueries]) -> None:
    ledger, queries = spread
    ours = [sent(ledger, at(NOW + n)) for n in range(30)]
    theirs = [sent(ledger, at(NOW + n + 0.5, tenant="acme")) for n in range(5)]
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [said.id for said in reversed(ours)]
    assert ids(queries.find(NOW, NOW + HOUR, "acme")) == [said.id for said in reversed(theirs)]
    everything = sorted([*ours, *theirs], key=lambda said: said.created_at, reverse=True)
    assert ids(queries.find(NOW, NOW + HOUR)) == [said.id for said in everything]


def test_a_time_is_cut_out_to_the_millisecond(spread: tuple[Ledger, LedgerQueries]) -> None:
    ledger, queries = spread
    mails = [sent(ledger, at(NOW + n / 1000)) for n in range(10)]
    assert ids(queries.find(NOW + 0.003, NOW + 0.006)) == [said.id for said in reversed(mails[3:7])]
    assert ids(queries.find(NOW + 1)) == []


def test_more_than_one_page_is_more_than_one_page(
    aws: Aws, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom_ops.ledger.queries.PAGE", 10)
    ledger, queries = Ledger(aws, "ledger", 1), replace(queries, shards=1)
    mails = [at(NOW + n) for n in range(23)]
    for said in mails:
        ledger.claim(Parcel.of(said), KEY, "token", NOW)
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [said.id for said in reversed(mails)]
    assert len(ids(queries.find_by_address("reader@example.com"))) == 23


def test_a_busy_table_is_asked_ever_more_slowly_until_every_row_is_there(
    ledger: Ledger, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("mailroom_ops.ledger.queries.sleep", pauses.append)
    mails = [sent(ledger, at(NOW + n)) for n in range(8)]

    def withhold(parsed: dict[str, Any], **_: Any) -> None:
        """Answer as DynamoDB does when it is busy: with one row, and the other keys."""
        late = parsed["Responses"]["ledger"][1:]
        parsed["Responses"]["ledger"] = parsed["Responses"]["ledger"][:1]
        if late:
            parsed["UnprocessedKeys"] = {"ledger": {"Keys": [{"pk": row["pk"]} for row in late]}}

    queries.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", withhold)
    assert ids(queries.find(NOW, NOW + HOUR, "default")) == [said.id for said in reversed(mails)]
    assert len(pauses) == 7
    assert pauses[-1] > 8 * pauses[0]
    assert max(pauses) <= 2


def test_a_burst_of_one_tenant_is_spread_evenly(ledger: Ledger, aws: Aws) -> None:
    for n in range(160):
        ledger.claim(Parcel.of(at(NOW + n / 1000)), KEY, "token", NOW)
    items = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    shards = Counter(item["tenant_shard"]["S"] for item in items)
    assert len(shards) == 16
    assert max(shards.values()) < 3 * 160 / 16


def test_a_reader_is_found_by_address_however_it_is_spelled_and_nobody_else(
    ledger: Ledger, queries: LedgerQueries
) -> None:
    mails = [sent(ledger, at(NOW + n, tenant=tenant)) for n, tenant in enumerate(("default", "acme"))]
    sent(ledger, at(NOW, to="other@example.com"))
    assert ids(queries.find_by_address("Reader@EXAMPLE.com")) == [said.id for said in reversed(mails)]
    assert ids(replace(queries, address_key="another environment").find_by_address("reader@example.com")) == []


@pytest.mark.parametrize("how", ["id", "address", "provider's id"])
def test_trace_tells_the_whole_story_in_order(ledger: Ledger, queries: LedgerQueries, how: str) -> None:
    said = sent(ledger, at(NOW), "resend", "re-1")
    ledger.record(said.id, Event(EventType.COMPLAINED, "resend", "2", NOW + 60))
    ledger.record(said.id, Event(EventType.DELIVERED, "resend", "1", NOW + 2))
    (found,) = trace.trace(queries, {"id": said.id, "address": said.to, "provider's id": "<re-1>"}[how])
    assert (found.id, found.tenant, found.kind, found.status) == (said.id, "default", "notification", "complained")
    assert [step.what for step in found.steps] == ["accepted", "sent", "delivered", "complained"]
    assert found.created == datetime.fromtimestamp(NOW, UTC)
    assert "reader" not in repr(found)


def test_trace_of_a_bounce_tells_why(ledger: Ledger, queries: LedgerQueries) -> None:
    said = sent(ledger, at(NOW), "ses")
    ledger.record(said.id, Event(EventType.BOUNCED, "ses", "1", NOW, reason=Reason.MAILBOX_FULL, detail="452 4.2.2"))
    (found,) = trace.trace(queries, said.id)
    assert (found.steps[-1].by, found.steps[-1].why) == ("ses", "transient mailbox_full 452 4.2.2")


def test_trace_of_nothing_is_nothing_and_of_nonsense_is_told(queries: LedgerQueries) -> None:
    assert list(trace.trace(queries, new_id())) == []
    assert list(trace.trace(queries, "re-404")) == []
    with pytest.raises(InvalidInput):
        trace.trace(queries, "what became of it?")


def test_log_shows_the_newest_last_and_filters(ledger: Ledger, queries: LedgerQueries) -> None:
    mails = [sent(ledger, at(NOW + n, tenant="acme" if n % 2 else "default")) for n in range(8)]
    ledger.record(mails[1].id, Event(EventType.DELIVERED, "resend", "1", NOW))
    assert [one.id for one in tail.latest(queries, 3)] == [said.id for said in mails[5:]]
    assert [one.id for one in tail.latest(queries, 9, tenant="acme")] == [said.id for said in mails[1::2]]
    assert [one.id for one in tail.latest(queries, 9, statuses=["delivered"])] == [mails[1].id]
    assert tail.latest(queries, 9, since=NOW + HOUR) == []


def test_log_follows_each_mail_to_what_it_comes_to(ledger: Ledger, queries: LedgerQueries) -> None:
    before, said, late = at(NOW - 60), at(NOW + 1), at(NOW + 3)
    sent(ledger, before)

    def happen() -> Iterator[bool]:
        ledger.claim(Parcel.of(said), KEY, "token", NOW)
        yield False
        ledger.finish(said.id, "token", Outcome(Status.SENT, "", "resend", "re-1"), NOW)
        yield False
        yield False
        ledger.record(said.id, Event(EventType.DELIVERED, "resend", "1", NOW + 2))
        sent(ledger, late)
        yield False
        yield True

    def follow(**filters: Any) -> list[tuple[str, str]]:
        happening = happen()
        told = tail.follow(queries, pause=lambda: next(happening), clock=lambda: NOW + 1, **filters)
        return [(one.id, one.status) for one in told]

    assert follow() == [(said.id, "accepted"), (said.id, "sent"), (said.id, "delivered"), (late.id, "sent")]


def test_log_follows_only_what_is_asked_for(ledger: Ledger, queries: LedgerQueries) -> None:
    sent(ledger, at(NOW + 1, tenant="acme"))
    failed = at(NOW + 2, tenant="acme")
    ledger.claim(Parcel.of(failed), KEY, "token", NOW)
    ledger.finish(failed.id, "token", Outcome(Status.FAILED, "bad_key"), NOW)
    for filters, wanted in (({"statuses": ["failed"]}, 1), ({"tenant": "acme"}, 2), ({"tenant": "default"}, 0)):
        told = tail.follow(queries, pause=lambda: True, clock=lambda: NOW, **filters)
        assert len(list(told)) == wanted


def test_stats_add_up_by_hour_provider_and_reason(ledger: Ledger, queries: LedgerQueries) -> None:
    for tenant, what, which, number in (
        ("default", "sent", "resend", 90),
        ("acme", "sent", "ses", 10),
        ("default", "bounced", "resend", 9),
        ("acme", "skipped", "suppressed", 2),
    ):
        ledger.tally.count(tenant, what, which, number)
    ledger.tally.flush()
    now = time.time()
    hours = list(stats.stats(queries, now - 5 * HOUR, now))
    assert len(hours) == 6
    assert [hour.of("sent") for hour in hours[:-2]] == [0, 0, 0, 0]
    whole = stats.total(hours)
    assert (whole.of("sent"), whole.of("sent", "ses"), whole.split("skipped")) == (100, 10, {"suppressed": 2})
    assert (whole.rate("bounced"), whole.rate("bounced", "resend"), whole.rate("bounced", "ses")) == (0.09, 0.1, 0)
    assert whole.providers == ["resend", "ses"]
    ours = stats.total(list(stats.stats(queries, now - HOUR, now, "acme")))
    assert (ours.of("sent"), ours.rate("bounced")) == (10, 0)
    assert stats.total(list(stats.stats(queries, now - 9 * HOUR, now - 8 * HOUR))).rate("bounced") is None


def test_a_tally_that_cannot_be_written_is_written_later(aws: Aws, queries: LedgerQueries) -> None:
    ledger = Ledger(aws, "no such table", 16)
    ledger.tally.count("default", "sent", "resend")
    with pytest.raises(Exception, match="ResourceNotFound"):
        ledger.tally.flush()
    ledger.tally._table = "ledger"
    ledger.tally.flush()
    now = time.time()
    assert stats.total(list(stats.stats(queries, now - HOUR, now))).of("sent") == 1


def test_suppressions_can_be_added_listed_and_removed(ledger: Ledger, queries: LedgerQueries) -> None:
    suppressions.add(queries, "default", "Reader@example.com", {Lane.NOTICES: 30})
    suppressions.add(queries, "acme", "reader@example.com", {Lane.NOTICES: 1, Lane.CODES: 1}, Cause.BOUNCE)
    ours, both = list(suppressions.entries(queries, "default")), list(suppressions.entries(queries))
    assert [(one.tenant, one.address, one.cause, one.source) for one in ours] == [
        ("default", "Reader@example.com", "manual", "operator")
    ]
    assert (ours[0].codes_until, len(both)) == (None, 2)
    assert ledger.is_suppressed(message(), Lane.NOTICES, KEY, time.time())
    assert not ledger.is_suppressed(message(), Lane.CODES, KEY, time.time())
    assert suppressions.remove(queries, "default", "READER@example.com")
    assert not suppressions.remove(queries, "default", "reader@example.com")
    assert not ledger.is_suppressed(message(), Lane.NOTICES, KEY, time.time())


def test_the_mark_of_a_removal_is_no_entry_of_the_list(aws: Aws, ledger: Ledger, queries: LedgerQueries) -> None:
    suppressions.add(queries, "default", "reader@example.com", {Lane.NOTICES: 30})
    (pk,) = (found["pk"] for found in queries.suppressions())
    assert suppressions.remove(queries, "default", "reader@example.com")
    mark = row(aws, "ledger", pk)
    assert set(mark) == {"pk", "removed_at", "ttl"}, "no address"
    assert mark["ttl"] > time.time() + 30 * 86400, "longer than the row of any mail that the removal can be about"
    assert list(suppressions.entries(queries)) == list(suppressions.entries(queries, "default")) == []
    assert list(suppressions.find(queries, "reader@example.com")) == []
    assert suppressions.portion(queries) == suppressions.Portion([], "")
    assert suppressions.write_csv(suppressions.entries(queries), io.StringIO()) == 0
    assert not suppressions.remove(queries, "default", "reader@example.com")
    suppressions.add(queries, "default", "reader@example.com", {Lane.NOTICES: 1})
    assert [one.address for one in suppressions.entries(queries)] == ["reader@example.com"]


def test_an_index_that_is_behind_a_removal_lists_nobody(
    aws: Aws, queries: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        suppressions.add(queries, "default", f"r{number}@example.com", {Lane.NOTICES: 30})
    behind = list(queries._keys("by_time", "shard", "suppressed"))
    suppressions.remove(queries, "default", "r1@example.com")
    monkeypatch.setattr(LedgerQueries, "_keys", lambda *_, **__: iter(behind))
    assert len(list(suppressions.entries(queries))) == len(suppressions.portion(queries).entries) == 2


def test_a_list_comes_out_as_it_went_in(ledger: Ledger, queries: LedgerQueries) -> None:
    for number in range(5):
        suppressions.add(queries, "default", f"r{number}@example.com", {Lane.CODES: 3, Lane.NOTICES: 200}, Cause.BOUNCE)
    before = io.StringIO()
    assert suppressions.write_csv(suppressions.entries(queries), before) == 5
    for number in range(5):
        suppressions.remove(queries, "default", f"r{number}@example.com")
    wanted = suppressions.read_csv(io.StringIO(before.getvalue()))
    assert len(list(suppressions.apply(queries, wanted))) == 5
    after = io.StringIO()
    suppressions.write_csv(suppressions.entries(queries), after)
    assert sorted(after.getvalue().splitlines()) == sorted(before.getvalue().splitlines())


def test_a_bare_list_of_addresses_is_taken_for_the_tenant_that_is_named(queries: LedgerQueries) -> None:
    (found,) = suppressions.read_csv(io.StringIO("Email,Created\nada@example.com,2020\n"), "acme")
    assert (found.tenant, found.address, found.cause) == ("acme", "ada@example.com", "manual")
    assert found.codes_until == found.notices_until
    assert list(suppressions.apply(queries, [found])) == [found]
    assert [one.tenant for one in suppressions.entries(queries, "acme")] == ["acme"]


def test_what_is_over_is_not_taken_in(queries: LedgerQueries) -> None:
    lines = "address,cause,notices_until\nada@example.com,bounce,2020-01-01\n"
    list(suppressions.apply(queries, suppressions.read_csv(io.StringIO(lines), "default")))
    assert list(suppressions.entries(queries)) == []


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("name\nada\n", []),
        ("", []),
        ("address,tenant\nada@example.com,default\nno address,default\n", ["line 3: its address is none"]),
        ("address,tenant\nada@example.com,Not A Tenant\n", ["line 2: it names no tenant"]),
        ("address,cause\nada@example.com,boredom\n", ["line 2: its cause is none of bounce"]),
        ("address,codes_until\nada@example.com,tomorrow\n", ["line 2: a date in it"]),
        ("address,tenant\n,\n,\n", ["line 2", "line 3"]),
    ],
)
def test_a_faulty_list_is_refused_line_by_line_and_quotes_no_address(text: str, details: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        suppressions.read_csv(io.StringIO(text), "default")
    assert len(refused.value.details) == len(details)
    for said, expected in zip(refused.value.details, details, strict=True):
        assert said.startswith(expected)
        assert "@" not in said


@pytest.mark.parametrize("address", ["", "ada", "a@b.c, d@e.f", "Ada <ada@example.com>"])
def test_only_one_address_is_one_address(queries: LedgerQueries, address: str) -> None:
    with pytest.raises(InvalidInput):
        suppressions.add(queries, "default", address, {Lane.NOTICES: 1})
