"""The command as an operator runs it: in this process for speed, against a real AWS endpoint on loopback."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from mailroom_ops.cli.main import main
from mailroom_ops.environment import Environment
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.settings.parameters import Parameters
from tests.nameserver import nameserver
from tests.running import Running

__all__ = ["Result", "Run", "Stored", "nameserver"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All of it, however its lines were broken."""
        return " ".join((self.out + self.err).split())


Run = Callable[..., Result]


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


@cache
def store(environment: str) -> Parameters:
    """The tests' own way in, made once: making a client takes longer than most tests."""
    return Parameters(Environment(environment))


@dataclass(frozen=True, slots=True)
class Stored:
    """What an environment's parameter store holds."""

    environment: str

    def values(self) -> dict[str, str]:
        return store(self.environment).values()

    def types(self) -> dict[str, bool]:
        return {name: found.is_encrypted for name, found in store(self.environment).all().items()}

    def put(self, **values: str) -> None:
        """Write parameters; `__` stands for a slash."""
        for name, value in values.items():
            store(self.environment).put(name.replace("__", "/"), value)


@pytest.fixture
def staging(cloud: str) -> Stored:
    return Stored("staging")


@pytest.fixture
def production(cloud: str) -> Stored:
    return Stored("production")


@pytest.fixture
def resend(sandbox: Sandbox, staging: Stored) -> Sandbox:
    """Resend, with its key in staging."""
    for name, value in sandbox.settings("resend").items():
        staging.put(**{f"providers__resend__{name}": value})
    return sandbox


@pytest.fixture
def at_home(stack: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The local stack, as `--env local` finds it."""
    monkeypatch.setenv("MAILROOM_URL", stack.url)
    stack.clear()
    return stack
