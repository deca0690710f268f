"""The Go and the PHP client: retries, their idempotency key, and their errors."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.scripted import SCENARIOS, assert_report, serve
from tests.clients.tools import CLIENTS, HERE

pytestmark = pytest.mark.thorough


def assert_scenarios(command: Sequence[str], variables: Mapping[str, str] = {}, folder: Path = HERE) -> None:
    """Run a driver with a server for each scenario; check its requests and reports."""
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(*scenario.replies)) for scenario in SCENARIOS]
        arguments = [*command, *(server.url for server in servers)]
        environment = {**os.environ, **variables}
        done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for scenario, server, line in zip(SCENARIOS, servers, done.stdout.splitlines(), strict=True):
        assert_report(scenario, server, json.loads(line))


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go: apt-get install golang-go")
def test_the_go_client_retries_and_reports_as_described(tmp_path: Path) -> None:
    cache = CLIENTS.parent / ".cache" / "go"  # Go's own packages take longest, and stay the same
    variables = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(cache), "GOTOOLCHAIN": "local"}
    (tmp_path / "driver").mkdir()
    shutil.copy(CLIENTS / "go" / "mailroom.go", tmp_path)
    shutil.copy(HERE / "driver.go", tmp_path / "driver")
    (tmp_path / "go.mod").write_text("module example.com/mailroom\n\ngo 1.19\n")
    environment = {**os.environ, **variables}
    for command in (["go", "vet", "./..."], ["go", "build", "-o", "run", "./driver"]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    assert_scenarios([str(tmp_path / "run")])


@pytest.mark.skipif(shutil.which("php") is None, reason="needs PHP: apt-get install php-cli")
def test_the_php_client_retries_and_reports_as_described() -> None:
    assert_scenarios(["php", "-d", "error_reporting=E_ALL", "driver.php", str(CLIENTS / "php" / "Mailroom.php")])
