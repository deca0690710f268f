"""The geometry of charts: round ticks, stacks that add up, lines with gaps, labels that do not overlap."""

from itertools import pairwise

import pytest

from mailroom_ops.console.charts import HEIGHT, LABEL_HEIGHT, TOP, Scale, lines, stack


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 20, 40, 60, 80, 100]),
        (2641, [0, 1000, 2000, 3000]),
        (1_234_567, [0, 500_000, 1_000_000, 1_500_000]),
    ],
)
def test_counts_have_few_round_whole_ticks(most: float, ticks: list[float]) -> None:
    assert Scale.over(most, whole=True).ticks == ticks


def test_shares_have_round_ticks_and_end_at_the_maximum() -> None:
    assert Scale.over(0.055).ticks == [0, 0.02, 0.04, 0.06]
    assert Scale.over(0.0011).ticks == [0, 0.0005, 0.001, 0.0015]
    assert Scale.over(1, least=0.934, end=1).ticks == [0.92, 0.94, 0.96, 0.98, 1]


def test_a_scale_runs_from_the_bottom_to_the_top() -> None:
    scale = Scale.over(100, whole=True)
    assert (scale.y(0), scale.y(50), scale.y(100)) == (TOP + HEIGHT, TOP + HEIGHT / 2, TOP)
    assert scale.y(1000) == TOP


def test_a_stack_adds_up_from_the_bottom_and_leaves_out_zeros() -> None:
    scale = Scale.over(100, whole=True)
    first, second, third = stack([[30, 0, 20], [0, 10, 0]], ["s1", "s2", "s3"], scale)
    assert [first.style, second.style, third.style] == ["s1", "s3", "s2"]
    assert first.y + first.height == TOP + HEIGHT
    assert second.y + second.height == first.y
    assert first.x + first.width < 50 < third.x


def test_a_missing_value_is_a_gap_and_a_value_between_gaps_a_dot() -> None:
    (line,) = lines(["resend"], ["s1"], [[0.0, 1.0, None, 1.0, None]], Scale.over(1))
    assert line.path == f"M10.0 {HEIGHT}.0L30.0 0.0M70.0 0.0h0"
    assert (line.x, line.y) == (70, TOP)


def test_a_series_without_values_is_not_drawn() -> None:
    drawn = lines(["resend", "ses"], ["s1", "s2"], [[None, None], [0.5, 0.5]], Scale.over(1))
    assert [(line.text, line.style) for line in drawn] == [("ses", "s2")]


def test_labels_of_lines_do_not_overlap_and_stay_within_the_chart() -> None:
    drawn = lines(list("abc"), ["s1", "s2", "s3"], [[0.0], [0.0], [0.01]], Scale.over(1))
    positions = sorted(line.label_y for line in drawn)
    assert [below - above for above, below in pairwise(positions)] == [LABEL_HEIGHT, LABEL_HEIGHT]
    assert positions[-1] == TOP + HEIGHT
