"""The command of `make run`, `python -m mailroom_ops.local`: its start, output, errors and end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailroom_ops.local import bytecode
from tests.running import TIMEOUT_SECONDS

COMMAND = [sys.executable, "-m", "mailroom_ops.local"]


def environment(root: Path, **more: str) -> dict[str, str]:
    path = f"{root}/ops:{root}/layers/mailroom"
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path, **bytecode.VARIABLE, "PORT": "0", **more}


def run(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(root, **more), capture_output=True, text=True, timeout=60, check=False
    )


class Command:
    """The running command; `lines` is its output up to the line `ready`."""

    def __init__(self, root: Path, *arguments: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(root, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready "):
                break
        self.rest: list[str] = []
        self._reader = threading.Thread(target=self.rest.extend, args=(self.process.stdout,))
        self._reader.start()

    @property
    def url(self) -> str:
        return self.lines[-1].removeprefix("ready ")

    def family(self) -> set[int]:
        return family_of(self.process.pid)

    def end(self) -> int:
        code = self.process.wait(TIMEOUT_SECONDS)
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()
        return code


def family_of(process: int) -> set[int]:
    """Return a process and its descendants."""
    family = {process}
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@contextmanager
def started(root: Path, *arguments: str, **more: str) -> Iterator[Command]:
    command = Command(root, *arguments, **more)
    try:
        yield command
    finally:
        command.process.kill()
        command.end()


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see which processes are left")


@pytest.mark.thorough
@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_prints_ready_and_stops_without_leaving_processes(root: Path, how: signal.Signals) -> None:
    with started(root) as command:
        assert command.lines[-1].startswith("ready http://127.0.0.1:")
        assert any("AWS" in line and "http://127.0.0.1:" in line for line in command.lines)
        with urllib.request.urlopen(f"{command.url}/inbox.json") as answer:
            assert answer.read() == b"[]"
        family = command.family()
        assert len(family) >= 7  # itself, the guard, moto and four functions

        command.process.send_signal(how)

        assert command.end() == 0
        assert alive(family) == set()


@needs_proc
def test_it_can_be_stopped_while_it_starts(root: Path) -> None:
    process = subprocess.Popen(COMMAND, env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + TIMEOUT_SECONDS
    while len(family := family_of(process.pid)) < 3:  # itself, the guard and moto
        assert time.monotonic() < end
        time.sleep(0.01)

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)

    assert (process.returncode, output.splitlines()[-1]) == (130, b"stopped before it was ready")
    assert alive(family) == set()


@pytest.mark.thorough
@needs_proc
def test_a_killed_stack_leaves_no_process(root: Path) -> None:
    with started(root) as command:
        family = command.family()

        command.process.kill()

        end = time.monotonic() + TIMEOUT_SECONDS
        while left := alive(family):
            assert time.monotonic() < end, f"{len(left)} processes are left"
            time.sleep(0.02)


def test_a_port_in_use_is_an_error_with_the_next_step(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        done = run(root, PORT=port)

    assert done.returncode == 1
    assert (
        done.stderr == f"port {port} is in use: stop the process that uses it, or choose another: PORT=3001 make run\n"
    )


@pytest.mark.parametrize("port", ["three", "-1", "65536", "3000.5", "٣"])
def test_a_malformed_port_is_an_error_with_the_next_step(root: Path, port: str) -> None:
    done = run(root, PORT=port)

    assert done.returncode == 2
    assert "use a number from 1 to 65535" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_provider_is_an_error_with_the_known_ones(root: Path) -> None:
    done = run(root, MAILROOM_PROVIDER="pigeon")

    assert done.returncode == 1
    assert done.stderr.startswith("cannot start: parameter Providers is 'pigeon': it must be a chain of resend, ses")
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "mailroom_ops.local"],
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("missing Python packages: aiosmtpd, boto3, moto")
    assert "make run" in done.stderr


def test_help_names_the_settings_and_the_addresses(root: Path) -> None:
    done = run(root, "--help")

    assert done.returncode == 0
    for word in ("PORT", "MAILROOM_PROVIDER", "/inbox.json", "/webhooks/logto", "secrets.yaml", "make run"):
        assert word in done.stdout


def test_a_process_may_open_more_files_than_macos_allows_by_default(root: Path) -> None:
    code = "from mailroom_ops.local.__main__ import raise_file_limit as f; f(); import os; os.system('ulimit -Sn')"
    shell = f'ulimit -Sn 256; exec "{sys.executable}" -c "{code}"'
    done = subprocess.run(["sh", "-c", shell], env=environment(root), capture_output=True, text=True, check=True)
    assert int(done.stdout) == 4096
