"""Every rule holds in every history: those written by hand, and those made up from seeds."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.simulation import wiring
from tests.simulation.history import History, Mail, generate
from tests.simulation.invariants import violations
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import described, shrink
from tests.simulation.world import run
from tests.thorough import times

SEEDS_PER_TEST = 20


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Keep every line that the functions log."""
    wiring.Logger.lines = []
    yield wiring.Logger.lines
    wiring.Logger.lines = None


def report(history: History) -> str:
    """Return what a history breaks, with the history and the command that repeats it; empty if nothing."""
    found = violations(run(history))
    if not found:
        return ""
    repeat = f"--seed {history.seed}" if isinstance(history.seed, int) else ""
    return "\n".join([*map(str, found[:5]), described(history), f"python -m tests.simulation {repeat} --shrink"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_rule_holds_in(name: str) -> None:
    assert not report(SCENARIOS[name])


@pytest.mark.parametrize("chunk", range(times(3, 60)))
def test_every_rule_holds_in_histories_from_seeds(chunk: int) -> None:
    for seed in range(chunk * SEEDS_PER_TEST, (chunk + 1) * SEEDS_PER_TEST):
        assert not report(generate(seed))


def test_nothing_secret_is_logged_or_recorded(logged: list[str]) -> None:
    for seed in range(times(10, 200)):
        logged.clear()
        found = [violation for violation in violations(run(generate(seed))) if violation.rule == "leak"]
        assert not found
        assert logged, "nothing was logged at all"


def test_a_seed_is_repeated_to_the_last_detail() -> None:
    first, second = run(generate(8)), run(generate(8))

    assert first.scheduler.trace == second.scheduler.trace
    assert first.table.items == second.table.items


def test_the_model_sees_a_mail_that_never_leaves() -> None:
    world = run(History("unseen", (Mail(1, 0.0),)))
    for account in world.accounts.values():
        account.copies.clear()

    assert "sent and never left" in {violation.rule for violation in violations(world)}


def test_a_history_shrinks_to_what_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    culprit = 7
    history = replace(generate(8), mails=tuple(Mail(number, float(number)) for number in range(1, 20)))
    monkeypatch.setattr(
        "tests.simulation.shrink.broken_rules",
        lambda candidate: {"rule"} if any(mail.number == culprit for mail in candidate.mails) else set(),
    )

    shortest = shrink(history, "rule")

    assert [mail.number for mail in shortest.mails] == [culprit]
    assert not shortest.faults + shortest.interruptions
