"""The send function on a real table and queues, and a provider's sandbox behind it."""

from collections.abc import Iterator

import pytest

from mailroom.aws.client import Aws
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.api.client import KEY, Client
from tests.cloud import put


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[SmtpSandbox]:
    with SmtpSandbox(sandbox.inbox, sandbox.faults) as running:
        yield running


@pytest.fixture
def client(environment: pytest.MonkeyPatch, aws: Aws, sandbox: Sandbox) -> Client:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    put(aws, "brands/acme", '{"name": "Acme"}')
    put(aws, "api/keys/local", KEY)
    return Client(aws, sandbox)
