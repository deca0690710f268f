"""Environments and providers for the tests of the command."""

import pytest

from mailroom_ops.sandbox.server import Sandbox
from tests.cli.helpers import Stored
from tests.running import Running


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
def local_stack(stack: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The local stack, as `--env local` finds it."""
    monkeypatch.setenv("MAILROOM_URL", stack.url)
    stack.clear()
    return stack
