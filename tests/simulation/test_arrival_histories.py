"""Every rule holds in short histories about arrival: codes requested again, and rescue."""

import pytest

from tests.simulation import arrival
from tests.simulation.invariants import violations
from tests.simulation.shrink import described
from tests.simulation.world import run
from tests.thorough import times

SEEDS_PER_TEST = 40


@pytest.mark.parametrize("chunk", range(times(6, 100)))
def test_every_rule_holds_in_short_histories_about_arrival(chunk: int) -> None:
    for seed in range(chunk * SEEDS_PER_TEST, (chunk + 1) * SEEDS_PER_TEST):
        history = arrival.generate(seed)
        broken = violations(run(history))
        repeat = f"python -m tests.simulation --profile arrival --seed {seed} --shrink"
        assert not broken, "\n".join([*map(str, broken[:5]), described(history), repeat])


def test_the_checks_of_a_code_do_not_multiply_while_sqs_does_not_answer() -> None:
    history = arrival.generate(5504955)  # SQS takes every message and answers none, for a minute
    assert not violations(run(history)), described(history)


def test_the_short_histories_contain_what_they_are_about() -> None:
    seen = set()
    for seed in range(SEEDS_PER_TEST):
        for name, item in run(arrival.generate(seed)).table.items.items():
            if name.startswith("message#"):
                entries = [entry["M"] for entry in item["timeline"]["L"]]
                seen |= {entry["answer"]["S"] for entry in entries if "answer" in entry}
                seen |= {entry["detail"]["S"] for entry in entries if entry.get("answer") == {"S": "rescue"}}
    assert {"asked_again", "rescue", "no_report", "deferred", "bounced"} <= seen
