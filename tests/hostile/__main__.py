"""Send hostile requests to the real handlers of webhook, send and feedback, in this process.

Each must be answered with a 2xx or a 4xx, without an exception, a trace, or a secret, code, link or address in the log.

python -m tests.hostile --requests 1000000           a table by status; exit code 1 if a rule is broken
python -m tests.hostile --first 4711 --requests 1    repeat one request and show it
"""

import argparse
import json
import sys
import time

from tests.hostile.requests import generate
from tests.hostile.run import Result, hostile

__all__ = ["main"]

PROGRESS_SECONDS = 10.0
SHOWN_PROBLEMS = 10


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000, help="how many (default: 100000)")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after this time (default: when all are sent)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the generator (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first request (default: 0)")
    options = parser.parse_args(arguments)
    if options.requests == 1:
        print(json.dumps(generate(options.seed, options.first).event, indent=1)[:10_000])
    output, started, shown = sys.stdout, time.monotonic(), 0.0
    result = Result()
    for result in hostile(options.seed, options.first, options.requests):
        elapsed = time.monotonic() - started
        if elapsed - shown > PROGRESS_SECONDS:
            shown = elapsed
            print(f"{result.requests} requests, {result.requests / elapsed:.0f} a second", file=output, flush=True)
        if options.minutes and elapsed > 60 * options.minutes:
            break
    elapsed = time.monotonic() - started
    print(f"\n{'function':10}{'status':>8}{'requests':>12}")
    for (function, status), count in sorted(result.statuses.items()):
        print(f"{function:10}{status:>8}{count:>12}")
    print(
        f"\n{result.requests} requests, {elapsed:.0f} s, {result.requests / elapsed:.0f} a second; "
        f"{result.log_lines} log lines; {len(result.problems)} problems"
    )
    for problem in result.problems[:SHOWN_PROBLEMS]:
        print(problem)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
