"""Where things stand in a chart: sensible ticks, stacks that add up, lines with gaps, names that do not collide."""

from itertools import pairwise

import pytest

from mailroom_ops.console.charts import HEIGHT, LINE, TOP, Scale, lines, stack


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
def test_counts_have_few_round_and_whole_ticks(most: float, ticks: list[float]) -> None:
    assert Scale.over(most, whole=True).ticks == ticks


def test_shares_have_round_ticks_and_never_reach_beyond_all() -> None:
    assert Scale.over(0.055).ticks == [0, 0.02, 0.04, 0.06]
    assert Scale.over(0.0011).ticks == [0, 0.0005, 0.001, 0.0015]
    assert Scale.over(1, least=0.934, end=1).ticks == [0.92, 0.94, 0.96, 0.98, 1]


def test_a_scale_runs_from_the_bottom_to_the_top() -> None:
    scale = Scale.over(100, whole=True)
    assert (scale.y(0), scale.y(50), scale.y(100)) == (TOP + HEIGHT, TOP + HEIGHT / 2, TOP)
    assert scale.y(1000) == TOP


def test_a_stack_adds_up_from_the_bottom_and_leaves_out_what_is_nothing() -> None:
    scale = Scale.over(100, whole=True)
    first, second, third = stack([[30, 0, 20], [0, 10, 0]], ["s1", "s2", "s3"], scale)
    assert [first.look, second.look, third.look] == ["s1", "s3", "s2"]
    assert first.y + first.height == TOP + HEIGHT
    assert second.y + second.height == first.y
    assert first.x + first.width < 50 < third.x


def test_a_line_has_a_gap_where_nothing_is_known_and_a_dot_where_all_around_it_is() -> None:
    (name,) = lines(["resend"], ["s1"], [[0.0, 1.0, None, 1.0, None]], Scale.over(1))
    assert name.path == f"M10.0 {HEIGHT}.0L30.0 0.0M70.0 0.0h0"
    assert (name.x, name.y) == (70, TOP)


def test_a_series_of_which_nothing_is_known_is_not_drawn() -> None:
    found = lines(["resend", "ses"], ["s1", "s2"], [[None, None], [0.5, 0.5]], Scale.over(1))
    assert [(name.text, name.look) for name in found] == [("ses", "s2")]


def test_the_names_of_lines_that_end_together_stand_apart_and_within_the_chart() -> None:
    names = lines(list("abc"), ["s1", "s2", "s3"], [[0.0], [0.0], [0.01]], Scale.over(1))
    places = sorted(name.label_y for name in names)
    assert [below - above for above, below in pairwise(places)] == [LINE, LINE]
    assert places[-1] == TOP + HEIGHT
