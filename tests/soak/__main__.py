"""Soak the local stack: mixed traffic with faults at a steady rate, for minutes.

Each accepted message must end in an outcome, no mail may have a copy that policy does not allow, and the memory of each
function must stay flat. Prints a table; exit code 1 if one of these does not hold.

python -m tests.soak --minutes 30
"""

import argparse
import sys
from functools import partial

from tests.running import running
from tests.soak.run import Report, soak

__all__ = ["main"]

MAX_GROWTH_MB = 8.0  # of a function's largest process, after the warm-up


def show(report: Report) -> int:
    """Print the tables; return the exit code."""
    print(f"\n{'function':12}{'processes':>10}{'MB after warm-up':>18}{'MB at the end':>15}")
    growing = []
    for name, (before, after) in report.memory.items():
        first, last = max(before, default=0.0), max(after, default=0.0)
        print(f"{name:12}{len(after):>10}{first:>18.1f}{last:>15.1f}")
        if last - first > MAX_GROWTH_MB:
            growing.append(name)
    print("\nanswers: ", ", ".join(f"{count} with {status}" for status, count in sorted(report.statuses.items())))
    print("outcomes:", ", ".join(f"{count} {status}" for status, count in report.outcomes.most_common()))
    print(f"faults: {report.faults}; mails with a copy: {report.copies}; lost: {len(report.lost)}")
    for message_id in report.lost[:10]:
        print(f"lost: {message_id}")
    for message_id in report.excess[:10]:
        print(f"more copies than policy allows: {message_id}")
    for name in growing:
        print(f"the memory of {name} grows by more than {MAX_GROWTH_MB:.0f} MB")
    return 1 if report.lost or report.excess or growing else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default: 5)")
    parser.add_argument("--rate", type=float, default=4.0, help="mails a second (default: 4)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of traffic and faults (default: 1)")
    options = parser.parse_args(arguments)
    with running(reports=True) as stack:
        mails = int(options.minutes * 60 * options.rate)
        return show(soak(stack, mails, options.rate, options.seed, partial(print, flush=True)))


if __name__ == "__main__":
    sys.exit(main())
