"""An AWS with the queue of outcome events, and a process of notify."""

from collections.abc import Iterator

import pytest

from mailroom.aws.client import Aws
from mailroom.callbacks import endpoint
from mailroom.network.http import Connections
from tests.callbacks.process import Notify


@pytest.fixture
def outcomes(aws: Aws, environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The surroundings of all functions, with the queue of outcome events."""
    for name in ("OUTCOMES", "OUTCOMES_DEAD_LETTER"):
        url = aws.call("sqs", "CreateQueue", {"QueueName": name.lower()})["QueueUrl"]
        environment.setenv(f"{name}_QUEUE_URL", url)
    return environment


@pytest.fixture
def notify(aws: Aws, outcomes: pytest.MonkeyPatch) -> Iterator[Notify]:
    """A process of notify that may post to loopback."""
    outcomes.setenv("CALLBACKS_TO_LOOPBACK", "true")
    endpoint.transport.cache_clear()
    yield Notify(aws)
    transport = endpoint.transport()
    assert isinstance(transport, Connections)
    transport.close()
    endpoint.transport.cache_clear()
