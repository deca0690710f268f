"""The queues: what SQS is asked for."""

from collections.abc import Mapping
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.aws.queue import Queue
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel
from tests.factories import message


class RecordingAws(Aws):
    """An AWS that accepts each call; `payloads` are those it got."""

    def __init__(self) -> None:
        super().__init__("eu-west-1")
        self.payloads: list[Mapping[str, Any]] = []

    def call(self, service: str, operation: str, payload: Mapping[str, Any], *, attempts: int = 3) -> dict[str, Any]:
        self.payloads.append(payload)
        return {}


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_each_tenant_has_a_group_of_its_own_on_a_queue(tenant: str) -> None:
    aws = RecordingAws()
    Queue(aws, dict.fromkeys(Lane, "https://sqs.example/lane")).put(Parcel.of(message(tenant=tenant)))
    assert [payload["MessageGroupId"] for payload in aws.payloads] == [tenant]
