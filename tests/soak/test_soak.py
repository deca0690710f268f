"""A short soak; `make soak` takes minutes, and looks at memory too."""

import os

import pytest

from tests.running import Running
from tests.soak.run import memory_mb, soak

MAILS = 24


@pytest.mark.thorough
def test_each_accepted_message_ends_in_an_outcome_in_spite_of_faults(stack: Running) -> None:
    stack.clear()

    report = soak(stack, MAILS, 0, seed=5, progress=lambda line: None)

    assert report.faults
    assert report.outcomes.total() == MAILS
    assert not report.lost
    assert not report.excess
    assert set(report.memory) == {"webhook", "rendered", "deliver", "send", "feedback", "link", "notify"}


def test_the_memory_of_a_process_is_measured_while_it_runs() -> None:
    assert memory_mb(os.getpid()) > 1
    assert memory_mb(2**22 + 1) == 0
