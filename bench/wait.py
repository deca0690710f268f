"""The time to the code: from the auth server's request until the provider has the mail, at 1 to 1,000 at once.

The real webhook and deliver run in the simulated cloud of tests/simulation, in virtual time: SQS, its pollers,
DynamoDB, cold and warm environments, a provider with a rate limit. The CPU that their code takes here is added to the
virtual time, as long as it would take on the processor share of the template's memory. A cold start takes what AWS
needs for an environment, and the CPU that `python -m bench.cold_start` measured, on a whole processor.

A wait depends on chance, that of a lone code mostly on the provider's latency. So each row is measured with many seeds,
until it has enough codes, and a lone code is judged by the median. A table shows where its time goes while all is cold,
beside that of two functions that import and do nothing of ours.
"""

import statistics
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
INIT_SECONDS = {"webhook": 0.09, "deliver": 0.115}  # CPU, of bench/cold_start.py: with that of the first mail
ECHO_INIT_SECONDS = 0.035  # the same of a handler that does nothing, under AWS's runtime client
TLS_SECONDS = 0.001  # CPU of a handshake: client's side, TLS 1.3, certificate verified (2026-11)
TLS_ROUND_TRIPS = 2  # and TCP's
ROUND_TRIP_SECONDS = 0.002  # within a region
TENANTS = {"resend": "default", "ses": "globex"}  # of the simulated stack, by their chain
REQUESTS_PER_SECOND = {"resend": 10, "ses": 200}  # Resend's limit as of 2026; SES's is the account's, here a grown one
BURSTS = (10, 30, 300, 1000)
QUICK_BURSTS = (30, 300)
CODES, QUICK_CODES = 900, 150  # of a row
LONE_CODES, QUICK_LONE_CODES = 40, 11  # of a row with one code in each run
OTHERS, OTHERS_SECONDS = 90, 0.5  # codes that come so long before a last one
LATER_SECONDS = 60.0  # after which environments are warm and no poller has more than its first five batches


@dataclass(frozen=True, slots=True)
class Call:
    """An outward call of a function, and the seconds before and after its effect."""

    function: str
    party: str
    before: float
    after: float


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
        self.calls: list[Call] = []

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
        self.calls.append(Call(process.function, party, before, after))
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


def burst(provider: str, number: int, *, is_warm: bool, seed: int = 0, others: int = 0) -> tuple[Waits, list[Call]]:
    """Send codes to different people at the same moment; return their waits, and all calls of the functions.

    The codes of `others` come before and do not count.
    """
    tenant, start = TENANTS[provider], LATER_SECONDS if is_warm else 0.0
    ahead = [Mail(0, 0.0, tenant)] if is_warm else []
    ahead += [Mail(-1 - index, start, tenant, f"other-{index}@example.net") for index in range(others)]
    start += OTHERS_SECONDS if others else 0.0
    mails = [Mail(1 + index, start, tenant) for index in range(number)]
    scheduler = BusyScheduler(f"{provider} {number} {seed}")
    world = World(History("wait", (*ahead, *mails), providers=provider), scheduler)
    for name, function in world.functions.items():
        function.cold_start = ENVIRONMENT_SECONDS + INIT_SECONDS.get(name, 0.0)
        function.build = busy(function.build, scheduler)
    for account in world.accounts.values():
        account.requests_per_second = REQUESTS_PER_SECOND.get(account.kind, 0)
    world.simulate()
    accepted: dict[str, float] = {}
    for copy in world.copies:
        accepted.setdefault(copy.offer.to, copy.at)
    asked = {request.mail.recipient: request.at for request in world.requests if request.mail.number > 0}
    waits = Waits(sorted(accepted[to] - at for to, at in asked.items() if to in accepted), len(asked.keys() - accepted))
    return waits, scheduler.calls


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


def bursts_of(provider: str, number: int, seeds: int, *, is_warm: bool, others: int = 0) -> Waits:
    """Return the waits of bursts with many seeds."""
    runs = [burst(provider, number, is_warm=is_warm, seed=seed, others=others)[0] for seed in range(seeds)]
    return Waits(sorted(second for run in runs for second in run.seconds), sum(run.lost for run in runs))


def lone_stages(provider: str, seeds: int) -> list[dict[str, float]]:
    """Return where the time of a lone code goes while all is cold, for each seed."""
    runs = [burst(provider, 1, is_warm=False, seed=seed) for seed in range(seeds)]
    return [stages(provider, waits.seconds[0], calls) for waits, calls in runs]


def stages(provider: str, wait: float, calls: list[Call]) -> dict[str, float]:
    """Return the seconds of each stage of a lone code while all is cold. One follows the other."""
    until_sent = calls[: next(place for place, call in enumerate(calls) if call.party == provider) + 1]

    def seconds(function: str, party: str) -> float:
        return sum(call.before + call.after for call in until_sent if (call.function, call.party) == (function, party))

    parts = {
        "two environments, by assumption": 2 * ENVIRONMENT_SECONDS,
        "webhook: interpreter and imports": INIT_SECONDS["webhook"],
        "webhook: settings, of SSM": seconds("webhook", "ssm"),
        "webhook: onto the queue": next(call.before for call in calls if call.party == "sqs"),
        "deliver: interpreter and imports": INIT_SECONDS["deliver"],
        "deliver: settings, of SSM": seconds("deliver", "ssm"),
        "deliver: ledger": seconds("deliver", "dynamodb"),
        "deliver: until the provider has it": until_sent[-1].before,
    }
    return parts | {"poller of SQS, and CPU of both": wait - sum(parts.values())}


def of_two_echoes(part: str, seconds: float) -> float:
    """Return the seconds of a stage for two functions that put each request on a queue and pass it on."""
    if part.endswith("interpreter and imports"):
        return ECHO_INIT_SECONDS
    return 0.0 if part.endswith(("SSM", "ledger")) else seconds


def print_stages(runs: list[dict[str, float]]) -> None:
    means = {part: statistics.mean(run[part] for run in runs) for part in runs[0]}
    floor = {part: of_two_echoes(part, seconds) for part, seconds in means.items()}
    print(f"\n{'a lone code, all cold: mean':36}{'ours':>8}{'echoes':>8}")
    for part, seconds in means.items():
        print(f"  {part:34}{seconds:8.3f}{floor[part]:8.3f}")
    print(f"  {'together':34}{sum(means.values()):8.3f}{sum(floor.values()):8.3f}\n", flush=True)


def row(label: str, waits: Waits) -> str:
    cells = "".join(f"{waits.at(share):8.2f}" for share in (0.5, 0.95, 0.99))
    return f"{label:28}{cells}{waits.lost:6}"


def main() -> None:
    is_short = is_quick()
    bursts = QUICK_BURSTS if is_short else BURSTS
    codes, lone_codes = (QUICK_CODES, QUICK_LONE_CODES) if is_short else (CODES, LONE_CODES)
    burst("resend", 3, is_warm=True)  # imports, templates and languages
    waits: dict[str, Waits] = {}
    print(f"{'seconds to the provider':28}{'p50':>8}{'p95':>8}{'p99':>8}{'lost':>6}")
    for provider in TENANTS:
        for number in (1, *bursts):
            seeds = lone_codes if number == 1 else max(1, codes // number)
            for is_warm in (True, False):
                label = f"{provider}, {number} at once, {'warm' if is_warm else 'cold'}"
                waits[label] = bursts_of(provider, number, seeds, is_warm=is_warm)
                print(row(label, waits[label]), flush=True)
        label = f"{provider}, one after {OTHERS}, warm"
        waits[label] = bursts_of(provider, 1, lone_codes, is_warm=True, others=OTHERS)
        print(row(label, waits[label]), flush=True)
    if any(row_waits.lost for row_waits in waits.values()):
        raise SystemExit("mails were lost")
    print_stages([parts for provider in TENANTS for parts in lone_stages(provider, lone_codes)])
    medians = {
        f"time to a lone code, {label}, median, s": max(
            waits[f"{name}, 1 at once, {state}"].at(0.5) for name in TENANTS
        )
        for label, state in {"warm": "warm", "all cold": "cold"}.items()
    }
    p99 = {
        f"time to a code of 300 by {name}, cold, p99, s": waits[f"{name}, 300 at once, cold"].at(0.99)
        for name in ("ses", "resend")
    }
    sys.exit(judge(medians | p99))


if __name__ == "__main__":
    main()
