"""Break the delivery core on purpose, one mutant at a time, and see that a test notices each.

python -m tests.mutants                     all of them; exit code 1 if one survives
python -m tests.mutants --only batch        those whose name contains a text
python -m tests.mutants --list              show the list and the tests of each
"""

import argparse
import multiprocessing
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cloud import moto_url
from tests.mutants.catalog import MUTANTS, ROOT, Mutant, StaleMutant

__all__ = ["main"]

COPIED = ("bench", "events", "functions", "layers", "ops", "tests", "docs", "pyproject.toml", "template.yaml")
NOT_COPIED = shutil.ignore_patterns("node_modules", "__pycache__", ".build")
TESTS_FAILED = 1  # the exit code of pytest; others mean that it could not run them
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
TIMEOUT_SECONDS = 600.0
OWN_PACKAGES = ("bench", "functions", "mailroom", "mailroom_ops", "tests")
PRELOADED = ("tests.browser", "tests.running", "tests.reports", "tests.lambda_function", "tests.simulation.world")
NAME_WIDTH = max(len(mutant.name) for mutant in MUTANTS)


class MutantError(Exception):
    """A run that proves nothing: the tests fail without a mutant, or could not be run."""


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a temporary copy of the project, without what is installed or built."""
    with TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name) / "mailroom"
        folder.mkdir()
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=NOT_COPIED)
            else:
                shutil.copy2(source, folder)
        yield folder


def run_tests(folder: Path, tests: Sequence[str]) -> str:
    """Run tests in a copy of the project until one fails; return its name, empty if all pass.

    In a fork of this process, which has loaded what all tests need: a new one would load for longer than it tests.
    """
    output = folder.with_name("output")
    process = multiprocessing.get_context("fork").Process(target=_run_pytest, args=(folder, tests, output))
    process.start()
    process.join(TIMEOUT_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return "none: they did not end in time"
    text = output.read_text("utf-8", "replace")
    if process.exitcode not in (0, TESTS_FAILED):
        raise MutantError(f"pytest could not run {' '.join(tests)}:\n{text[-2000:]}")
    failure = FIRST_FAILURE.search(text)
    return (failure[1] if failure else "unnamed") if process.exitcode else ""


def _run_pytest(folder: Path, tests: Sequence[str], output: Path) -> None:
    """Forget this project's own modules, and run the tests of the copy."""
    paths = [str(folder), str(folder / "ops"), str(folder / "layers" / "mailroom")]
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
        del sys.modules[name]
    sys.path[:] = paths + [path for path in sys.path if path and not Path(path).is_relative_to(ROOT / "layers")]
    sys.path[:] = [path for path in sys.path if path not in (str(ROOT), str(ROOT / "ops"))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths[1:])
    os.environ.setdefault("MAILROOM_CONTRACTS", str(ROOT.parent / "shared" / "contracts"))
    os.chdir(folder)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = pytest.main(["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", *tests])
    sys.stdout.flush()
    os._exit(int(code))  # what runs at exit belongs to the process that was forked


def noticed_by(folder: Path, mutant: Mutant) -> str:
    """Put a mutant into a copy of the project and run its tests; return the first that fails, empty if none does."""
    path = folder / mutant.path
    source, status = path.read_text("utf-8"), path.stat()
    path.write_text(mutant.apply(source), "utf-8")
    try:
        return run_tests(folder, mutant.tests)
    finally:
        path.write_text(source, "utf-8")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # its bytecode is still that of the original


def run(mutants: Sequence[Mutant], *, quick: bool) -> int:
    """Run mutants; print a table; return the exit code. If `quick`, trust that the tests pass without a mutant."""
    os.environ["MAILROOM_MOTO_URL"] = moto_url()
    for name in PRELOADED:
        import_module(name)
    with copied() as folder:
        started, survivors = time.monotonic(), 0
        for mutant in mutants:
            mutant.apply((folder / mutant.path).read_text("utf-8"))
        if not quick:
            print(f"{len(mutants)} mutants; first their tests without one", flush=True)
            if failure := run_tests(folder, sorted({test for mutant in mutants for test in mutant.tests})):
                raise MutantError(f"{failure} fails without a mutant")
        for number, mutant in enumerate(mutants, 1):
            begun = time.monotonic()
            test = noticed_by(folder, mutant)
            survivors += not test
            seconds = time.monotonic() - begun
            place, result = f"[{number:2}/{len(mutants)}]", "killed  " if test else "SURVIVED"
            print(f"{place} {result} {seconds:5.1f} s  {mutant.name:{NAME_WIDTH}}  {test}", flush=True)
        print(f"{len(mutants) - survivors} killed, {survivors} survived, {time.monotonic() - started:.0f} s")
    return 1 if survivors else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="show the mutants and their tests, and run nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="only those with this text in their name")
    parser.add_argument("--quick", action="store_true", help="do not first run the tests without a mutant")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if not mutants:
        parser.error(f"no mutant has {options.only!r} in its name; --list shows them")
    if options.list:
        for mutant in mutants:
            print(mutant.name, f"    {mutant.path}", *(f"    {test}" for test in mutant.tests), sep="\n")
        return 0
    try:
        return run(mutants, quick=options.quick)
    except (StaleMutant, MutantError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
