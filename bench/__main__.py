"""Run all benches one after the other, and repeat their verdicts at the end: `python -m bench [quick] [NAME...]`.

The exit code is 1 if a goal is missed that was reached at the last release. `python -m bench --against REF [quick]`
compares this tree with another commit instead: bench/against.py.
"""

import argparse
import subprocess
import sys
import time

from bench.goals import QUICK

# From the quickest to the slowest. The last two have no goals: their figures are for the eye.
BENCHES = ("rendering", "wait", "timing", "providers", "cold_start", "burst", "feedback", "console")
QUICK_BENCHES = ("rendering", "wait", "timing", "providers", "cold_start", "burst")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], QUICK, *BENCHES], metavar=f"{QUICK}|NAME", help="default: all")
    parser.add_argument("--against", metavar="REF", help="another commit to compare this tree with, in one run")
    options = parser.parse_args()
    names = options.names
    if options.against:
        raise SystemExit(run("against", [options.against, *names])[1])
    quick = [QUICK] if QUICK in names else []
    chosen = [name for name in BENCHES if name in names] or (QUICK_BENCHES if quick else BENCHES)
    started, verdicts, failed = time.monotonic(), list[str](), list[str]()
    for name in chosen:
        print(f"\n--- {name}", flush=True)
        lines, code = run(name, quick)
        verdicts += [line for line in lines if line.startswith(("reached", "MISSED"))]
        failed += [name] if code else []
    minutes = (time.monotonic() - started) / 60
    print(f"\n--- all, in {minutes:.1f} minutes", *verdicts, sep="\n")
    if failed:
        raise SystemExit(f"worse than at the last release, or failed: {', '.join(failed)}")


def run(name: str, arguments: list[str]) -> tuple[list[str], int]:
    """Run one bench; print its output as it comes, and return its lines and its exit code."""
    lines = []
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    return lines, process.returncode


if __name__ == "__main__":
    main()
