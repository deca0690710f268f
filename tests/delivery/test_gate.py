"""The gate before a provider: closed for as long as it asks, and a little longer by chance."""

import random

from mailroom.delivery.gate import CLOSED_SECONDS, FAILURES_IN_A_ROW, MAX_SPREAD_SECONDS, Gate

NOW = 1_800_000_000.0


def test_one_process_alone_waits_no_longer_than_stated() -> None:
    gate = Gate(chance=lambda: 1.0)
    gate.succeeded(NOW, 2.5)
    assert gate.wait(NOW) == 2.5


def test_environments_that_are_restored_from_one_snapshot_do_not_come_back_together() -> None:
    waits = set()
    for _ in range(3):
        random.seed(1)  # the state that a snapshot has
        gate = Gate()
        gate.failed(0.0, 5.0)
        waits.add(gate.wait(0.0))

    assert len(waits) == 3
    assert all(5.0 <= wait <= 10.0 for wait in waits)


def test_who_was_refused_comes_back_later_by_chance_and_later_each_time() -> None:
    gate = Gate(chance=lambda: 1.0)
    waits = []
    for _ in range(6):
        gate.failed(NOW, 1.0)
        waits.append(gate.wait(NOW))
    assert waits == [2.0, 3.0, 5.0, 9.0, 9.0, 9.0]
    assert waits[-1] == 1.0 + MAX_SPREAD_SECONDS


def test_it_never_comes_back_before_it_may() -> None:
    gate = Gate(chance=lambda: 0.0)
    for _ in range(3):
        gate.failed(NOW, 1.0)
        assert gate.wait(NOW) == 1.0


def test_with_each_mail_that_goes_it_comes_back_sooner() -> None:
    gate = Gate(chance=lambda: 1.0)
    for _ in range(4):
        gate.failed(NOW, 1.0)
    waits = []
    for _ in range(4):
        gate.succeeded(NOW, 1.0)
        waits.append(gate.wait(NOW))
    assert waits == [5.0, 3.0, 2.0, 1.5]


def test_twenty_processes_that_were_refused_together_do_not_come_back_together() -> None:
    chance = random.Random(20)  # noqa: S311 - a spread is no secret
    gates = [Gate(chance=chance.random) for _ in range(20)]
    for gate in gates:
        gate.failed(NOW, 1.0)
        gate.failed(NOW, 1.0)
    back = sorted(gate.wait(NOW) for gate in gates)
    assert max(sum(1 for other in back if at <= other < at + 0.2) for at in back) < 10


def test_after_some_failures_in_a_row_nobody_pays_for_the_next_one() -> None:
    gate = Gate()
    for number in range(FAILURES_IN_A_ROW):
        assert gate.wait(NOW) == 0.0, number
        gate.failed(NOW, None)
    assert gate.wait(NOW) == CLOSED_SECONDS


def test_a_gate_reopens_after_a_minute_whatever_wait_its_provider_states() -> None:
    gate = Gate(chance=lambda: 0.0)
    gate.failed(NOW, 24 * 3600.0)
    assert gate.wait(NOW + 59) > 0
    assert gate.wait(NOW + 60) == 0.0


def test_requests_that_hang_at_the_same_time_close_it_for_no_longer_than_one() -> None:
    gate = Gate()
    for _ in range(5):
        gate.failed(NOW, None, took=8.0)
    assert gate.wait(NOW) == 8.0
    gate.failed(NOW + 9, None, took=8.0)
    assert gate.wait(NOW + 9) == 16.0


def test_requests_that_are_refused_at_the_same_time_widen_its_spread_once() -> None:
    gate = Gate(chance=lambda: 1.0)
    for number in range(5):
        gate.failed(NOW + number / 100, 1.0, took=0.5)
    assert gate.wait(NOW + 0.04) == 2.0
