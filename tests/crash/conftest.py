"""Stacks whose queues return a lost message soon, one of them with a gate before its AWS."""

from collections.abc import Iterator

import pytest

from tests.crash.stacks import Fragile, Watched
from tests.gate import AwsGate
from tests.running import Running, running

SOON = {"VisibilityTimeout": 1}


@pytest.fixture(scope="session")
def behind_a_gate() -> Iterator[Fragile]:
    gate = AwsGate()
    with running(overrides={"CodesQueue": SOON, "NoticesQueue": SOON}, proxy=gate.stand_before) as stack:
        yield Fragile(stack, gate)
    gate.close()


@pytest.fixture
def fragile(behind_a_gate: Fragile) -> Iterator[Fragile]:
    behind_a_gate.stack.clear()
    yield behind_a_gate
    behind_a_gate.stack.sandbox.faults.clear()


@pytest.fixture
def watched(stack: Running) -> Iterator[Watched]:
    stack.clear()
    yield Watched(stack)
    stack.sandbox.faults.clear()
