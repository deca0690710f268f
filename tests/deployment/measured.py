"""The services that a mail uses, counted in a run of the real functions: writes, reads, requests, and log bytes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.simulation import aws, wiring
from tests.simulation.history import History, Mail
from tests.simulation.world import World

__all__ = ["Usage", "steady_traffic"]

MAILS = 400
SECONDS_BETWEEN = 2.6  # a million mails in a month
ACCESS_LOG_BYTES = 26  # that CloudWatch adds to each line


@dataclass(frozen=True, slots=True)
class Usage:
    """The mean of one mail."""

    writes: float
    tally_writes: float
    index_writes: float
    reads: float
    queue_requests: float
    invocations: float


def steady_traffic() -> Usage:
    """Run mails one at a time through the webhook, each with a report of its delivery; return the mean."""
    counts: Counter[str] = Counter()
    post = aws.Network.post

    def counted(self: aws.Network, service: str, operation: str, payload: Mapping[str, Any]) -> Any:
        match service, operation:
            case "dynamodb", "PutItem" | "UpdateItem":
                is_tally = str(payload.get("Key", {}).get("pk", {}).get("S", "")).startswith("tally#")
                counts["tally" if is_tally else "writes"] += 1
            case "dynamodb", "BatchGetItem":
                counts["reads"] += sum(len(part["Keys"]) for part in payload["RequestItems"].values())
            case "dynamodb", _:
                counts["reads"] += 1
            case "sqs", _:
                counts["sqs"] += 1
        return post(self, service, operation, payload)

    mails = tuple(Mail(n, n * SECONDS_BETWEEN, events=(("delivered", 3.0),)) for n in range(1, MAILS + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws.Network, "post", counted)
        patch.setattr(wiring, "ENVIRONMENT", "production")  # development counts each invocation at once
        world = World(History("cost", mails))
        world.simulate()
    batches = world.functions["deliver"].invocations
    indexes = world.table.indexes.values()
    in_indexes = sum(
        all(name in item for name in attributes) for item in world.table.items.values() for attributes in indexes
    )
    return Usage(
        writes=counts["writes"] / MAILS,
        tally_writes=counts["tally"] / MAILS,
        index_writes=in_indexes / MAILS,
        reads=counts["reads"] / MAILS * 0.5,  # none is strongly consistent
        queue_requests=(counts["sqs"] + 2 * batches) / MAILS,  # the poller receives and deletes
        invocations=sum(function.invocations for function in world.functions.values()) / MAILS,
    )
