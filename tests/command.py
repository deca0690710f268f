"""The `mailroom` command: in this process, for speed, and in a real terminal."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from mailroom_ops.cli.main import main
from mailroom_ops.local import bytecode

__all__ = ["Run", "Terminal", "run", "shell_variables", "terminal"]

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Result:
    """The exit code of a command and its output."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The whole output as one line."""
        return " ".join((self.out + self.err).split())


Run = Callable[..., Result]
Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def run(cloud: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these arguments, `stdin` piped in."""

    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return call


@pytest.fixture
def terminal(cloud: str) -> Iterator[Terminal]:
    """Start the command in a terminal of 80 columns."""
    opened: list[pexpect.spawn[str]] = []

    def start(*arguments: str, **variables: str) -> "pexpect.spawn[str]":
        command = ["-m", "mailroom_ops.cli", *arguments]
        env = shell_variables({"AWS_ENDPOINT_URL": cloud, **variables})
        child = pexpect.spawn(sys.executable, command, env=env, dimensions=(24, 80), encoding="utf-8", timeout=30)
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def shell_variables(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the variables of a shell in which the command runs."""
    here = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "PATH", "HOME", "LANG"))}
    python = {"PYTHONPATH": f"{ROOT / 'ops'}:{ROOT / 'layers' / 'mailroom'}"}
    return {**here, **python, **bytecode.VARIABLE, "TERM": "xterm-256color", **more}
