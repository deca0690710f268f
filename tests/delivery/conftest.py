"""A process of the deliver function, with Resend's sandbox behind it."""

import pytest

from mailroom.aws import queue
from mailroom.aws.client import Aws
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put
from tests.delivery.process import Process


@pytest.fixture
def deliver(aws: Aws, environment: pytest.MonkeyPatch, sandbox: Sandbox) -> Process:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    return Process(aws)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver at once what is enqueued for later."""
    monkeypatch.setattr(queue, "MAX_DELAY_SECONDS", 0)
