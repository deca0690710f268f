"""The rows of recipients on a real table: which code is older than which, and how many there may be."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.ledger.recipients import Standing
from mailroom.ledger.table import Ledger
from mailroom.model.limits import WINDOW_SECONDS, Limits
from mailroom.model.message import Message, new_id
from mailroom_ops.ledger.limits import recent, reset
from mailroom_ops.ledger.queries import LedgerQueries
from tests.cloud import operations
from tests.factories import KEY, NOW
from tests.ledger.helpers import ledger_code


def is_replaced(ledger: Ledger, message: Message) -> bool:
    return bool(ledger.superseded([message], KEY))


def test_nobody_without_the_key_can_guess_a_code_from_the_table(ledger: Ledger, aws: Aws) -> None:
    message = ledger_code("424242")
    ledger.recipients.mark_latest(message, KEY, NOW)
    rows = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    assert rows
    assert message.identity not in json.dumps(rows)


@pytest.mark.parametrize(
    ("seconds", "standing"),
    [(0, Standing.CURRENT), (5, Standing.CURRENT), (29, Standing.CURRENT), (30, Standing.SUPERSEDED)],
)
def test_a_code_is_superseded_by_one_that_is_30_seconds_younger(
    ledger: Ledger, seconds: float, standing: Standing
) -> None:
    assert ledger.recipients.mark_latest(ledger_code("222222", at=NOW + seconds), KEY, NOW).standing is Standing.CURRENT
    assert ledger.recipients.mark_latest(ledger_code("111111", at=NOW), KEY, NOW).standing is standing


def test_a_late_older_code_does_not_hide_the_newest(ledger: Ledger) -> None:
    for age in (40, 20, 0):
        ledger.recipients.mark_latest(ledger_code(f"{age:06}", at=NOW - age), KEY, NOW)
    ledger.recipients.mark_latest(ledger_code("333333", at=NOW - 10), KEY, NOW)
    assert is_replaced(ledger, ledger_code("000040", at=NOW - 40))
    assert not is_replaced(ledger, ledger_code("000020", at=NOW - 20))


def test_a_code_replaces_all_or_none_before_it_as_its_caller_states(ledger: Ledger) -> None:
    ledger.recipients.mark_latest(replace(ledger_code("222222", at=NOW + 60), replaces_after=None), KEY, NOW)
    assert ledger.recipients.mark_latest(ledger_code("111111", at=NOW), KEY, NOW).standing is Standing.CURRENT
    ledger.recipients.mark_latest(replace(ledger_code("333333", at=NOW + 61), replaces_after=0.001), KEY, NOW)
    assert is_replaced(ledger, ledger_code("222222", at=NOW + 60))


def test_a_code_that_replaces_fewer_revives_none(ledger: Ledger) -> None:
    dead, live = ledger_code("111111", at=NOW), ledger_code("222222", at=NOW + 8)
    ledger.recipients.mark_latest(replace(ledger_code("333333", at=NOW + 5), replaces_after=0.001), KEY, NOW)
    for newer in (live, replace(ledger_code("444444", at=NOW + 9), replaces_after=None)):
        assert ledger.recipients.mark_latest(newer, KEY, NOW).standing is Standing.CURRENT
        assert is_replaced(ledger, dead)
    assert not is_replaced(ledger, live)


def test_a_late_code_that_replaces_all_before_it_does_so_still(ledger: Ledger) -> None:
    ledger.recipients.mark_latest(ledger_code("333333", at=NOW + 9), KEY, NOW)
    ledger.recipients.mark_latest(replace(ledger_code("222222", at=NOW + 5), replaces_after=0.001), KEY, NOW)
    assert is_replaced(ledger, ledger_code("111111", at=NOW + 4))
    assert not is_replaced(ledger, ledger_code("111111", at=NOW + 6))


def test_a_second_tenant_has_its_own_codes(ledger: Ledger) -> None:
    ledger.recipients.mark_latest(replace(ledger_code("222222", at=NOW + 60), tenant="acme"), KEY, NOW)
    assert ledger.recipients.mark_latest(ledger_code("111111", at=NOW), KEY, NOW).standing is Standing.CURRENT


def test_a_retry_of_the_newest_code_is_still_the_newest(ledger: Ledger) -> None:
    message = ledger_code("222222")
    ledger.recipients.mark_latest(message, KEY, NOW)
    assert ledger.recipients.mark_latest(message, KEY, NOW + 30).standing is Standing.CURRENT


def test_the_same_code_again_within_a_minute_is_a_duplicate(ledger: Ledger) -> None:
    ledger.recipients.mark_latest(ledger_code("111111"), KEY, NOW)
    assert ledger.recipients.mark_latest(ledger_code("111111", at=NOW + 59), KEY, NOW).standing is Standing.DUPLICATE
    assert ledger.recipients.mark_latest(ledger_code("111111", at=NOW + 61), KEY, NOW).standing is Standing.CURRENT


def test_the_same_code_again_is_a_duplicate_although_another_one_came_between(ledger: Ledger) -> None:
    limits, first = Limits(), ledger_code("111111")
    for message in (first, *(ledger_code(f"{number}", at=NOW + number) for number in range(5, 8))):
        assert ledger.recipients.mark_latest(message, KEY, NOW, limits).standing is Standing.CURRENT
    repeated = ledger_code("111111", at=NOW + 20)
    assert ledger.recipients.mark_latest(repeated, KEY, NOW, limits).standing is Standing.DUPLICATE
    assert ledger.recipients.mark_latest(first, KEY, NOW, limits).standing is Standing.CURRENT, "it is no repetition"
    late = ledger_code("111111", at=NOW + 61)
    assert ledger.recipients.mark_latest(late, KEY, NOW, limits).standing is Standing.CURRENT


def test_a_console_test_is_always_sent(ledger: Ledger) -> None:
    test = replace(ledger_code("000000", kind="generic-code"), identity="")
    assert ledger.recipients.mark_latest(test, KEY, NOW).standing is Standing.CURRENT
    assert ledger.recipients.mark_latest(replace(test, id=new_id()), KEY, NOW).standing is Standing.CURRENT


@pytest.mark.parametrize("other", [{"to": "bob@example.com"}, {"kind": "mfa-code"}])
def test_another_reader_or_kind_is_not_in_the_way(ledger: Ledger, other: dict[str, Any]) -> None:
    ledger.recipients.mark_latest(ledger_code("222222", at=NOW + 5), KEY, NOW)
    assert ledger.recipients.mark_latest(ledger_code("111111", **other), KEY, NOW).standing is Standing.CURRENT


def test_a_notification_is_not_superseded_by_a_newer_one(ledger: Ledger) -> None:
    ledger.recipients.mark_latest(ledger_code("2", at=NOW + 5, kind="notification"), KEY, NOW)
    assert ledger.recipients.mark_latest(ledger_code("1", kind="notification"), KEY, NOW).standing is Standing.CURRENT


LIMITS = Limits(per_recipient=4, per_kind=3, per_client=5)
NO_LIMITS = Limits(0, 0, 0)


def ask(ledger: Ledger, number: int, *, at: float = NOW, limits: Limits = LIMITS, **fields: Any) -> Standing:
    """Ask for a code of its own, and return its standing."""
    message = replace(ledger_code(f"{number:06}", at=at), **fields)
    return ledger.recipients.mark_latest(message, KEY, at, limits).standing


def test_a_recipient_gets_so_many_codes_of_a_kind_and_so_many_in_all(ledger: Ledger) -> None:
    assert [ask(ledger, n) for n in range(5)] == [Standing.CURRENT] * 3 + [Standing.LIMITED] * 2
    assert [ask(ledger, n, kind="mfa-code") for n in range(2)] == [Standing.CURRENT, Standing.LIMITED]
    assert ask(ledger, 1, to="bob@example.com") is Standing.CURRENT
    assert ask(ledger, 1, tenant="acme") is Standing.CURRENT


def test_a_limit_is_over_ten_minutes_after_each_code(ledger: Ledger) -> None:
    for minute in range(3):
        assert ask(ledger, minute, at=NOW + 60 * minute) is Standing.CURRENT
    assert ask(ledger, 3, at=NOW + WINDOW_SECONDS - 1) is Standing.LIMITED
    assert ask(ledger, 4, at=NOW + WINDOW_SECONDS) is Standing.CURRENT
    assert ask(ledger, 5, at=NOW + WINDOW_SECONDS + 1) is Standing.LIMITED
    assert ask(ledger, 6, at=NOW + WINDOW_SECONDS + 60) is Standing.CURRENT


def test_a_code_counts_once_however_often_it_is_tried(ledger: Ledger) -> None:
    first = ledger_code("111111")
    for _ in range(5):
        assert ledger.recipients.mark_latest(first, KEY, NOW, LIMITS).standing is Standing.CURRENT
    assert [ask(ledger, n) for n in range(3)] == [Standing.CURRENT] * 2 + [Standing.LIMITED]
    assert ledger.recipients.mark_latest(first, KEY, NOW, LIMITS).standing is Standing.CURRENT


def test_a_code_beyond_the_limit_replaces_no_earlier_one(ledger: Ledger) -> None:
    for number in range(3):
        ask(ledger, number, at=NOW + number)
    assert ask(ledger, 9, at=NOW + 40) is Standing.LIMITED
    assert not is_replaced(ledger, ledger_code("000002", at=NOW + 2))


def test_all_addresses_of_one_mailbox_share_a_limit(ledger: Ledger) -> None:
    addresses = ["a.da@gmail.com", "ada@gmail.com", "ada+1@googlemail.com", "Ada+2@gmail.com"]
    assert [ask(ledger, n, to=to) for n, to in enumerate(addresses)] == [Standing.CURRENT] * 3 + [Standing.LIMITED]


def test_codes_for_two_addresses_of_one_mailbox_do_not_replace_each_other(ledger: Ledger) -> None:
    assert ask(ledger, 1, at=NOW + 60, to="ada+1@example.com") is Standing.CURRENT
    assert ask(ledger, 2, at=NOW, to="ada+2@example.com") is Standing.CURRENT


def test_fifty_processes_at_once_send_exactly_the_limit(ledger: Ledger) -> None:
    with ThreadPoolExecutor(50) as processes:
        standings = list(processes.map(lambda number: ask(ledger, number), range(100)))
    assert standings.count(Standing.CURRENT) == LIMITS.per_kind
    assert standings.count(Standing.LIMITED) == 100 - LIMITS.per_kind


def test_without_limits_every_code_is_sent(ledger: Ledger) -> None:
    assert {ask(ledger, n, limits=NO_LIMITS) for n in range(20)} == {Standing.CURRENT}


def test_codes_of_a_kind_of_the_tenants_own_count_too(ledger: Ledger) -> None:
    own: dict[str, Any] = {"kind": "acme-pin", "data": {"code": "1"}, "identity": ""}
    assert [ask(ledger, n, **own) for n in range(4)] == [Standing.CURRENT] * 3 + [Standing.LIMITED]


def test_notices_do_not_count(ledger: Ledger) -> None:
    notice: dict[str, Any] = {"kind": "notification", "data": {"title": "News"}}
    for number in range(9):
        fields = notice | {"identity": f"notice {number}"}
        assert ask(ledger, number, **fields) is Standing.CURRENT
    assert ask(ledger, 1) is Standing.CURRENT


def test_a_client_causes_so_many_codes(ledger: Ledger) -> None:
    def ask_from(ip: str, number: int) -> Standing:
        message = replace(ledger_code(f"{number:06}", to=f"r{number}@example.com"), client_ip=ip)
        return ledger.recipients.count_client(message, KEY, NOW, LIMITS)

    network = [f"2001:db8:1:2::{number}" for number in range(7)]
    assert [ask_from(ip, n) for n, ip in enumerate(network)] == [Standing.CURRENT] * 5 + [Standing.LIMITED] * 2
    assert ask_from("203.0.113.7", 9) is Standing.CURRENT
    assert {ask_from("", n) for n in range(9)} == {Standing.CURRENT}


def test_a_suppressed_code_counts(ledger: Ledger) -> None:
    for number in range(3):
        ledger.recipients.count(ledger_code(f"{number:06}"), KEY, NOW, LIMITS)
    assert ask(ledger, 9) is Standing.LIMITED


def test_an_operator_lifts_a_limit(ledger: Ledger, queries: LedgerQueries) -> None:
    asked = time.time()
    assert reset(queries, "default", "ada@example.com") == 0
    assert [ask(ledger, n, at=asked) for n in range(4)][-1] is Standing.LIMITED
    assert [kind for kind, _ in recent(queries, "default", "ADA+1@example.com")] == ["sign-in-code"] * 3
    assert reset(queries, "default", "ADA+1@example.com") == 3
    assert ask(ledger, 5, at=asked) is Standing.CURRENT


def test_a_first_code_costs_one_write_and_a_second_two(
    ledger: Ledger, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = operations(aws, monkeypatch)
    ask(ledger, 1)
    assert calls == ["UpdateItem"]
    ask(ledger, 2)
    assert calls == ["UpdateItem"] * 3


def test_the_rows_hold_no_address_and_no_code(ledger: Ledger, aws: Aws) -> None:
    ask(ledger, 424242, to="ada+tag@example.com", client_ip="203.0.113.7")
    rows = str(aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"])
    assert "ada" not in rows
    assert "424242" not in rows
    assert "203.0.113" not in rows
