"""Run simulated histories: one seed, one scenario, or as many as there is time for.

python -m tests.simulation --histories 10000 --processes 2   search; each broken rule is shown with its first seeds
python -m tests.simulation --seed 4711                       repeat one history and say what it breaks
python -m tests.simulation --seed 4711 --shrink              ... and make it as short as it can be
python -m tests.simulation --scenario a_burst_is_cut_short   run one of the scenarios written by hand
python -m tests.simulation --scenarios                       run all of them
"""

import argparse
import gc
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation import wiring
from tests.simulation.history import History, generate
from tests.simulation.invariants import violations
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import described, shrink
from tests.simulation.world import run

__all__ = ["main"]

CHUNK = 50
LOOK_FOR_LEAKS = 10  # in every tenth history


def check(seeds: range) -> tuple[int, int, dict[int, list[str]]]:
    """Run some seeds; return how many histories and mails that were, and which rules each seed broke."""
    gc.disable()
    broken, mails = {}, 0
    for seed in seeds:
        history = generate(seed)
        mails += len(history.mails)
        wiring.Logger.lines = [] if seed % LOOK_FOR_LEAKS == 0 else None
        try:
            rules = sorted({violation.rule for violation in violations(run(history))})
        except Exception as error:  # noqa: BLE001 - a defect of the simulation itself, or of the code under it
            rules = [f"simulation failed: {type(error).__name__}"]
        if rules:
            broken[seed] = rules
    gc.enable()
    gc.collect()
    return len(seeds), mails, broken


def search(histories: int, processes: int, first: int) -> int:
    """Run histories on all processes; show what they break; return the exit status."""
    seeds: defaultdict[str, list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    done = mails = bad = 0
    started = time.monotonic()
    chunks = [range(start, min(start + CHUNK, first + histories)) for start in range(first, first + histories, CHUNK)]
    with ProcessPoolExecutor(processes) as pool:
        for future in as_completed([pool.submit(check, chunk) for chunk in chunks]):
            number, some, broken = future.result()
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


def show(history: History, *, shorten: bool) -> int:
    """Run one history and show what it breaks; return the exit status."""
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
    parser.add_argument("--seed", type=int, help="run the history of this seed")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), metavar="NAME", help="run this scenario")
    parser.add_argument("--scenarios", action="store_true", help="run every scenario and say which rules each breaks")
    parser.add_argument("--shrink", action="store_true", help="shorten a history that breaks a rule")
    parser.add_argument("--histories", type=int, default=1000, help="how many histories to search (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a search (default: 0)")
    parser.add_argument("--processes", type=int, default=1, help="how many to run side by side (default: 1)")
    options = parser.parse_args(arguments)
    if options.scenarios:
        results = {name: sorted({v.rule for v in violations(run(history))}) for name, history in SCENARIOS.items()}
        for name, rules in results.items():
            print(f"{name:64} {', '.join(rules) or 'holds'}")
        return 1 if any(results.values()) else 0
    if options.scenario:
        return show(SCENARIOS[options.scenario], shorten=options.shrink)
    if options.seed is not None:
        return show(generate(options.seed), shorten=options.shrink)
    return search(options.histories, options.processes, options.first)


def _progress(done: int, histories: int, elapsed: float, bad: int, counts: Counter[str]) -> None:
    bar = "#" * int(30 * done / histories)
    kinds = ", ".join(f"{rule} {count}" for rule, count in counts.most_common(4))
    line = f"[{bar:30}] {done}/{histories}  {done / elapsed * 60:,.0f} a minute  {bad} broken  {kinds}"
    if sys.stdout.isatty():
        print(f"\r{line:150}", end="", flush=True)
    elif done == histories or done % (10 * CHUNK) == 0:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
