"""The time to the code: from the auth server's request until the provider has the mail, at 1 to 1,000 at once.

The real webhook and deliver run in the simulated cloud of tests/simulation, in virtual time: SQS, its pollers,
DynamoDB, cold and warm environments, a provider with a rate limit. The CPU that their code takes here is added to the
virtual time, as long as it would take on the processor share of the template's memory. A cold start takes what AWS
needs for an environment, and the CPU that `python -m bench.cold_start` measured, on a whole processor.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from greenlet import getcurrent  # type: ignore[import-untyped]

from bench.goals import is_quick, judge
from tests.simulation.functions import Handler
from tests.simulation.history import History, Mail
from tests.simulation.scheduler import Process, Scheduler, Task
from tests.simulation.world import World

PROCESSOR_SHARE = 0.29  # of 512 MB: a whole one has 1,769
ENVIRONMENT_SECONDS = 0.15  # for AWS to create one and fetch the code: not measured, an assumption
INIT_SECONDS = {"webhook": 0.11, "deliver": 0.14}  # CPU, of bench/cold_start.py
TLS_SECONDS = 0.001  # CPU of a handshake: client's side, TLS 1.3, certificate verified (2026-11)
TLS_ROUND_TRIPS = 2  # and TCP's
ROUND_TRIP_SECONDS = 0.002  # within a region
TENANTS = {"resend": "default", "ses": "globex"}  # of the simulated stack, by their chain
REQUESTS_PER_SECOND = {"resend": 10, "ses": 200}  # Resend's limit as of 2026; SES's is the account's, here a grown one
BURSTS = (1, 10, 30, 300, 1000)
QUICK_BURSTS = (1, 30, 300)
LATER_SECONDS = 60.0  # after which environments are warm and no poller has more than its first five batches


class BusyScheduler(Scheduler):
    """Adds the CPU that a task took since it was resumed to the virtual time, except that of the simulated cloud.

    The threads of a process share its processor: one works after the other.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self._busy_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()  # by process
        self._resumed_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()  # by task, in seconds of CPU
        self._idle: WeakKeyDictionary[Any, defaultdict[str, int]] = (
            WeakKeyDictionary()
        )  # connections, by process and party
        self._excluded = 0.0

    def start(self, process: Process, function: Callable[[], Any]) -> Task:
        def counted() -> Any:
            self.count_from_here()
            return function()

        return super().start(process, counted)

    def count_from_here(self) -> None:
        """Do not count the CPU that the current task has taken until now."""
        self._resumed_at[getcurrent()] = time.thread_time()

    def sleep(self, seconds: float) -> None:
        task = getcurrent()
        taken = time.thread_time() - self._resumed_at[task] - self._excluded
        self._excluded = 0.0
        super().sleep(self._work(taken) - self.now + seconds)
        self.count_from_here()

    def wait(self) -> None:
        self.sleep(0.0)  # the CPU until now
        super().wait()
        self.count_from_here()

    def call(self, name: str, effect: Callable[[], Any], before: float, after: float) -> Any:
        def excluded() -> Any:
            started = time.thread_time()
            try:
                return effect()
            finally:
                self._excluded = time.thread_time() - started

        process, party = getcurrent().process, name.partition(" ")[0]
        # The first connection to each party is a part of the measured cold start.
        idle = self._idle.setdefault(process, defaultdict(lambda: 1))
        if not idle[party]:
            self._work(TLS_SECONDS)
            before += TLS_ROUND_TRIPS * ROUND_TRIP_SECONDS
        idle[party] -= bool(idle[party])
        try:
            return super().call(name, excluded, before, after)
        finally:
            idle[party] += 1

    def _work(self, seconds: float) -> float:
        """Occupy the processor of the current process for so many seconds of CPU; return when that ends."""
        process = getcurrent().process
        begin = max(self.now, self._busy_until.get(process, 0.0))
        end = self._busy_until[process] = begin + max(0.0, seconds) / PROCESSOR_SHARE
        return end


@dataclass(frozen=True, slots=True)
class Waits:
    """The sorted seconds until each mail of a burst was accepted; `lost` ones never were."""

    seconds: list[float]
    lost: int

    def at(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def burst(provider: str, number: int, *, is_warm: bool) -> Waits:
    """Send codes to different people at the same moment."""
    start = LATER_SECONDS if is_warm else 0.0
    first = [Mail(0, 0.0, TENANTS[provider])] if is_warm else []
    mails = [Mail(1 + index, start, TENANTS[provider]) for index in range(number)]
    scheduler = BusyScheduler(f"{provider} {number}")
    world = World(History("wait", (*first, *mails), providers=provider), scheduler)
    for name, function in world.functions.items():
        function.cold_start = ENVIRONMENT_SECONDS + INIT_SECONDS.get(name, 0.0)
        function.build = busy(function.build, scheduler)
    for account in world.accounts.values():
        account.requests_per_second = REQUESTS_PER_SECOND.get(account.kind, 0)
    world.simulate()
    accepted: dict[str, float] = {}
    for copy in world.copies:
        accepted.setdefault(copy.offer.to, copy.at)
    asked = {request.mail.recipient: request.at for request in world.requests if request.mail.number}
    return Waits(sorted(accepted[to] - at for to, at in asked.items() if to in accepted), len(asked.keys() - accepted))


def busy(build: Callable[[], Handler], scheduler: BusyScheduler) -> Callable[[], Handler]:
    """Return a `build` whose handlers spend their last CPU before they answer."""

    def built() -> Handler:
        handler = build()

        def run(event: Any, context: Any) -> Any:
            scheduler.count_from_here()
            answer = handler(event, context)
            scheduler.sleep(0.0)
            return answer

        return run

    return built


def main() -> None:
    bursts = QUICK_BURSTS if is_quick() else BURSTS
    figures: dict[str, float] = {}
    burst("resend", 3, is_warm=True)  # imports, templates and languages
    print(f"{'seconds to the provider':28}{'p50':>8}{'p95':>8}{'p99':>8}{'lost':>6}")
    for provider in TENANTS:
        for number in bursts:
            for is_warm in (True, False):
                waits = burst(provider, number, is_warm=is_warm)
                label = f"{provider}, {number} at once, {'warm' if is_warm else 'cold'}"
                cells = "".join(f"{waits.at(share):8.2f}" for share in (0.5, 0.95, 0.99))
                print(f"{label:28}{cells}{waits.lost:6}", flush=True)
                figures[label] = waits.at(0.99)
                if waits.lost:
                    raise SystemExit("mails were lost")
    lone = {state: [figures[f"{provider}, 1 at once, {state}"] for provider in TENANTS] for state in ("warm", "cold")}
    goals = {
        "time to a lone code, warm, s": max(lone["warm"]),
        "time to a lone code, all cold, s": max(lone["cold"]),
        "time to a code of 300 by ses, cold, p99, s": figures["ses, 300 at once, cold"],
        "time to a code of 300 by resend, cold, p99, s": figures["resend, 300 at once, cold"],
    }
    print()
    sys.exit(judge(goals))


if __name__ == "__main__":
    main()
