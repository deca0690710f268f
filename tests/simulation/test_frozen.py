"""A process may be frozen at any moment of its work: nothing leaves that has become outdated meanwhile."""

from dataclasses import replace
from itertools import count

import pytest

from tests.simulation.faults import Fault
from tests.simulation.history import History, Mail
from tests.simulation.invariants import violations
from tests.simulation.scheduler import START, Interruption
from tests.simulation.shrink import described
from tests.simulation.world import run

READER = "again@example.net"
FREEZE_SECONDS = 12.0
END_SECONDS = 60.0  # after the first moment of a freeze, none meets what the case is about
FAILOVER = tuple(Fault(account, "error_before", 0.0, 60.0) for account in ("ses", "smtp"))
DEFERRED = (("deferred", 1.0),)
SHORT = Mail(1, 5.0, "wayne", READER, route="queued", expires_in=10.0)
OLDER = Mail(1, 5.0, "initech", READER, route="queued")


def _newer(tenant: str, at: float) -> Mail:
    return Mail(2, at, tenant, READER, route="inline", supersedes=True)


# The moment from which the process of a code is frozen once, the mails, and the faults.
CASES: dict[str, tuple[float, tuple[Mail, ...], tuple[Fault, ...]]] = {
    "expires": (5.0, (SHORT,), ()),
    "expires before the second account": (5.0, (SHORT,), FAILOVER),
    "expires before its rescue": (14.0, (replace(SHORT, expires_in=20.0, events=DEFERRED),), ()),
    "is replaced": (5.0, (OLDER, _newer("initech", 11.0)), ()),
    "is replaced before the second account": (5.0, (OLDER, _newer("initech", 11.0)), FAILOVER),
    "is replaced before its rescue": (
        14.0,
        (replace(OLDER, tenant="wayne", events=DEFERRED), _newer("wayne", 20.0)),
        (),
    ),
}


@pytest.mark.parametrize("seconds_before", [0.0, 2.0])
@pytest.mark.parametrize("name", CASES)
def test_a_code_does_not_leave_that(name: str, seconds_before: float) -> None:
    start, mails, faults = CASES[name]
    for number in count(1):
        freezes = [Interruption("deliver", start, "freeze", "after", number, "", FREEZE_SECONDS)]
        if seconds_before:  # so that the frozen call is the one that repeats a check
            freezes.append(Interruption("deliver", start, "freeze", "after", number - 1, "", seconds_before))
        world = run(History(f"{name} {number}", mails, faults, tuple(freezes)))
        broken = [str(violation) for violation in violations(world)]
        assert not broken, "\n".join((*broken, described(world.history)))
        if min(world.scheduler.interrupted, default=START + 999) > START + start + END_SECONDS:
            assert number > 5, "nothing was frozen"
            return
