"""Fixtures for every test, and the rule that a complete machine skips nothing."""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest
from botocore.loaders import create_loader
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped] # it has no types

from tests.thorough import IS_THOROUGH

pytest_plugins = [
    "tests.browser",
    "tests.cloud",
    "tests.command",
    "tests.nameserver",
    "tests.pictures",
    "tests.running",
    "tests.reports",
]  # shared fixtures

ROOT = Path(__file__).parent.parent
NO_SKIPS = os.environ.get("MAILROOM_NO_SKIPS") == "1"
CONTRACTS = os.environ.get("MAILROOM_CONTRACTS", str(ROOT.parent / "shared" / "contracts"))
NO_CONTRACTS = "needs the providers' contract files: name their folder in MAILROOM_CONTRACTS, or `none` to go without"
# First, so that no worker is left alone with one of them at the end.
SLOW = ("tests/simulation/test_histories.py", "tests/test_artifact.py", "tests/mail/")
HISTORIES = "::test_every_rule_holds_in_histories_from_seeds["

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def contracts() -> Path:
    """The folder of requests and responses recorded from providers and auth servers."""
    if not Path(CONTRACTS).is_dir():
        pytest.skip(NO_CONTRACTS)
    return Path(CONTRACTS)


@pytest.fixture(scope="session", autouse=True)
def one_loader() -> Iterator[None]:
    """Load botocore's description of each service once a run; it took a third of the time of the commands' tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own AWS account out of reach."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs to CI, start with the slow files, and refuse two tests of one name.

    Run side by side, only one of two tests with one name would be.
    """
    twice = [name for name, number in Counter(item.nodeid for item in items).items() if number > 1]
    if twice:
        raise pytest.UsageError(f"two tests have the name {twice[0]}")
    slow = [] if IS_THOROUGH else [item for item in items if item.get_closest_marker("thorough")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


class Scheduling(LoadFileScheduling):  # type: ignore[misc] # as above
    """Gives each worker one file at a time, and of the random histories one test at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if HISTORIES in nodeid else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _no_skip((yield))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables of the tests, whose own output is lost where they run in parallel."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "table" and report.when == "call":
                terminalreporter.write_line(f"\n{value}")


def _no_skip(report: Report) -> Report:
    """With MAILROOM_NO_SKIPS=1, turn a skipped test into a failed one: the machine must have every tool."""
    if NO_SKIPS and report.skipped and isinstance(report.longrepr, tuple) and not _is_agreed(report.longrepr[2]):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr[2]}"
    return report


def _is_agreed(reason: str) -> bool:
    return NO_CONTRACTS in reason and CONTRACTS == "none"
