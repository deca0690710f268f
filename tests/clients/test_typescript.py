"""The TypeScript client: retries, its idempotency key, and its errors."""

import json
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.scripted import SCENARIOS, assert_report, serve
from tests.clients.tools import CLIENTS, HERE, compile_typescript, needs_node


@pytest.mark.thorough
@needs_node
def test_the_typescript_client_retries_and_reports_as_described(tmp_path: Path) -> None:
    shutil.copy(CLIENTS / "typescript" / "mailroom.ts", tmp_path)
    shutil.copy(HERE / "driver.ts", tmp_path)
    program = compile_typescript(tmp_path / "driver.ts", tmp_path / "out")
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(*scenario.replies)) for scenario in SCENARIOS]

        done = subprocess.run(
            ["node", program, *(server.url for server in servers)], capture_output=True, text=True, timeout=60
        )

    assert done.returncode == 0, done.stderr
    for scenario, server, line in zip(SCENARIOS, servers, done.stdout.splitlines(), strict=True):
        assert_report(scenario, server, json.loads(line))
