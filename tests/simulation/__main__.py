"""Run the functions in virtual time, under random faults, and check every rule in each history.

python -m tests.simulation --histories 10000 --processes 2   run random histories; list broken rules with their seeds
python -m tests.simulation --seed 4711                       repeat the history of a seed, print what it breaks
python -m tests.simulation --seed 4711 --shrink              ... and remove all that is not needed to break it
python -m tests.simulation --profile arrival --seed 4711     the same for short histories about arrival, and so on
python -m tests.simulation --scenarios                       run all scenarios written by hand
python -m tests.simulation --scenario a_minute_without_the_ledger_costs_nobody_a_code

The exit status is 1 if a rule is broken. A seed gives the same history, event by event, on every machine with the same
version of Python. docs/reliability.md lists the rules.
"""

import argparse
import gc
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation import arrival, wiring
from tests.simulation.history import History, generate
from tests.simulation.invariants import violations
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import described, shrink
from tests.simulation.world import run

__all__ = ["main"]

CHUNK = 50
PROFILES: Mapping[str, Callable[[int], History]] = {"general": generate, "arrival": arrival.generate}
LOOK_FOR_LEAKS = 10  # in every tenth history

Result = tuple[int, int, dict[int, list[str]]]  # histories, mails, and the rules that each seed broke


def check(seeds: range, profile: str) -> Result:
    """Run some seeds."""
    gc.disable()
    gc.freeze()  # what a history leaves behind is collected at once, from the processor's cache: in a third of the time
    broken, mails = {}, 0
    for seed in seeds:
        history = PROFILES[profile](seed)
        mails += len(history.mails)
        wiring.Logger.lines = [] if seed % LOOK_FOR_LEAKS == 0 else None
        try:
            rules = sorted({violation.rule for violation in violations(run(history))})
        except Exception as error:  # noqa: BLE001 - a defect of the simulation itself, or of the code under it
            rules = [f"simulation failed: {type(error).__name__}"]
        if rules:
            broken[seed] = rules
        gc.collect()
    gc.enable()
    return len(seeds), mails, broken


def search(histories: int, processes: int, first: int, profile: str) -> int:
    """Run histories on all processes, print the rules that they break, and return the exit status."""
    seeds: defaultdict[str, list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    done = mails = bad = 0
    started = time.monotonic()
    chunks = [range(start, min(start + CHUNK, first + histories)) for start in range(first, first + histories, CHUNK)]
    for number, some, broken in _results(chunks, processes, profile):
        done, mails, bad = done + number, mails + some, bad + len(broken)
        for seed, rules in sorted(broken.items()):
            if not sys.stdout.isatty():
                print(f"seed {seed}: {', '.join(rules)}", flush=True)
            for rule in rules:
                counts[rule] += 1
                seeds[rule].append(seed)
        _progress(done, histories, time.monotonic() - started, bad, counts)
    elapsed = time.monotonic() - started
    print(f"\n{done} histories, {mails} mails, {elapsed:.0f} s; {bad} histories break a rule")
    for rule, count in counts.most_common():
        print(f"{count:7}  {rule:24} seeds {', '.join(map(str, sorted(seeds[rule])[:6]))}")
    return 1 if bad else 0


def _results(chunks: Sequence[range], processes: int, profile: str) -> Iterator[Result]:
    if processes == 1:  # memory that a child shares with its parent is slower to write to
        yield from (check(chunk, profile) for chunk in chunks)
        return
    with ProcessPoolExecutor(processes) as pool:
        for future in as_completed([pool.submit(check, chunk, profile) for chunk in chunks]):
            yield future.result()


def show(history: History, *, shorten: bool) -> int:
    """Run one history, print its trace and the rules that it breaks, and return the exit status."""
    world = run(history)
    found = violations(world)
    if found and shorten:
        history = shrink(history, found[0].rule)
        world = run(history)
        found = violations(world)
    first = {violation.rule: violation for violation in reversed(found)}  # one of each rule: a hundred say no more
    print(described(history, world, tuple({number for violation in first.values() for number in violation.mails})))
    for rule, violation in first.items():
        print(f"broken: {violation}; {sum(other.rule == rule for other in found)} of this rule")
    if not found:
        print("all rules hold")
    return 1 if found else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="repeat the history of this seed")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), metavar="NAME", help="run this scenario")
    parser.add_argument("--scenarios", action="store_true", help="run all scenarios")
    parser.add_argument("--shrink", action="store_true", help="shorten a history that breaks a rule")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="general", help="kind of random histories")
    parser.add_argument("--histories", type=int, default=1000, help="number of random histories (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--processes", type=int, default=1, help="number of processes (default: 1)")
    options = parser.parse_args(arguments)
    if options.scenarios:
        results = {name: sorted({v.rule for v in violations(run(history))}) for name, history in SCENARIOS.items()}
        for name, rules in results.items():
            print(f"{name:64} {', '.join(rules) or 'holds'}")
        return 1 if any(results.values()) else 0
    if options.scenario:
        return show(SCENARIOS[options.scenario], shorten=options.shrink)
    if options.seed is not None:
        return show(PROFILES[options.profile](options.seed), shorten=options.shrink)
    return search(options.histories, options.processes, options.first, options.profile)


def _progress(done: int, histories: int, elapsed: float, bad: int, counts: Counter[str]) -> None:
    bar = "#" * int(30 * done / histories)
    kinds = ", ".join(f"{rule} {count}" for rule, count in counts.most_common(4))
    left = elapsed / done * (histories - done)
    pace = f"{done / elapsed * 60:,.0f} a minute, {left / 60:.0f} min left"
    line = f"[{bar:30}] {done}/{histories}  {pace}  {bad} broken  {kinds}".rstrip()
    if sys.stdout.isatty():
        print(f"\r{line:150}", end="", flush=True)
    elif done == histories or done % (10 * CHUNK) == 0:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
