"""The verdicts of the benches."""

import pytest

from bench.goals import GOALS, is_quick, judge
from bench.timing import z_of_ranks

REACHED = next(name for name, goal in GOALS.items() if goal.reached)
MISSED = next(name for name, goal in GOALS.items() if not goal.reached)


def test_a_figure_within_its_goal_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({REACHED: GOALS[REACHED].maximum}) == 0
    assert capsys.readouterr().out.startswith(f"reached  {REACHED}: ")


def test_a_goal_reached_at_the_last_release_and_missed_now_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({REACHED: GOALS[REACHED].maximum + 1, MISSED: 0.0}) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["MISSED", "reached"]


def test_a_goal_that_was_never_reached_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({MISSED: GOALS[MISSED].maximum + 1}) == 0
    assert capsys.readouterr().out.startswith(f"MISSED   {MISSED}: ")


def test_a_bench_takes_quick_and_no_other_argument() -> None:
    assert is_quick(["quick"])
    assert not is_quick([])
    with pytest.raises(SystemExit, match="quick"):
        is_quick(["--quick"])


@pytest.mark.parametrize(
    ("first", "second", "z"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 0.0),
        ([1, 2, 3], [4, 5, 6], 1.964),
        ([4, 5, 6], [1, 2, 3], -1.964),
        ([1, 2, 2, 3], [2, 3, 4, 4], 1.648),  # with ties
    ],
)
def test_a_rank_test_shows_whether_one_sample_tends_to_be_larger(
    first: list[float], second: list[float], z: float
) -> None:
    assert z_of_ranks(first, second) == pytest.approx(z, abs=0.001)
