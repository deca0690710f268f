"""A short run of hostile requests; `make hostile` has a million."""

import pytest

from tests.hostile.requests import generate
from tests.hostile.run import hostile
from tests.thorough import times


def test_hostile_requests_get_a_clean_answer_and_leave_no_secret_in_the_log() -> None:
    *_, result = hostile(1, 0, times(1500, 20_000))

    assert not result.problems
    for function, accepted in {"webhook": 200, "rendered": 200, "send": 202, "feedback": 200}.items():
        assert result.statuses[function, accepted], "some get past authentication and validation"
        assert result.statuses[function, 401], "some do not"
    assert result.statuses["link", 200]
    assert result.statuses["link", 404]


def test_a_request_is_repeated_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_795_000_000.0)  # some requests are signed with the time
    first, second = (generate(7, 4711) for _ in range(2))

    assert first.event["body"] == second.event["body"]
    assert first.event["headers"] == second.event["headers"]
