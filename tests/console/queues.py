"""Both lanes and their dead letters in moto, and what tests do on the pages of the queues."""

import re
import time
from dataclasses import dataclass
from typing import Any

from mailroom.delivery.batch import Batch
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel
from mailroom.model.outcome import Status
from tests.console.client import Client, LedgerWriter
from tests.running import Running

__all__ = ["CANARIES", "Queues", "inspect", "inspection_id", "letter_ids", "wait_for_job"]

CANARIES = ("KX7391", "https://example.com/once", "For your eyes only", "reader-canary")


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of staging by name, such as `NoticesDeadLetter`, and its ledger."""

    sqs: Any
    urls: dict[str, str]
    messages: LedgerWriter

    def bury(self, *parcels: Parcel | Batch | str, lane: Lane = Lane.NOTICES) -> None:
        """Send parcels, or any text, to a dead-letter queue."""
        for parcel in parcels:
            body = parcel if isinstance(parcel, str) else parcel.to_json()
            self.sqs.send_message(QueueUrl=self.urls[f"{lane.title()}DeadLetter"], MessageBody=body)

    def undeliverable(
        self, number: int = 1, status: Status = Status.FAILED, life: float = 600, **changes: Any
    ) -> list[Parcel]:
        """Record messages that could not be sent, with private data; return their parcels."""
        data = {"code": CANARIES[0], "link": CANARIES[1], "title": CANARIES[2]}
        fields = {"kind": "security-notice", "data": data, "to": "reader-canary@example.com", **changes}
        times = {"expires_at": time.time() + life}
        if status is Status.ACCEPTED:
            return [Parcel.of(self.messages.accepted(100, **fields, **times)) for _ in range(number)]
        return [Parcel.of(self.messages.sent(100, status, "rate_limited", **fields, **times)) for _ in range(number)]

    def receive_all(self, name: str) -> list[Any]:
        """Receive what is in a queue."""
        received: list[Any] = []
        while batch := self.sqs.receive_message(
            QueueUrl=self.urls[name], MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages"):
            received += batch
        return received


def wait_for_job(client: Client, lane: str = "notices") -> str:
    """Return the page of a lane once no job is running."""
    pages: list[str] = []

    def has_ended() -> bool:
        pages.append(client.get(f"/console/queues/{lane}").text)
        return "<progress" not in pages[-1]

    Running.until(has_ended)
    return pages[-1]


def inspect(client: Client, lane: str = "notices") -> str:
    """Inspect the dead letters of a lane; return the page with the result."""
    answer = client.post(f"/console/queues/{lane}", do="look")
    assert (answer.status, answer.headers["location"]) == (303, f"/console/queues/{lane}")
    return wait_for_job(client, lane)


def inspection_id(html: str) -> str:
    match = re.search(r'name="look" value="([0-9a-f]+)"', html)
    assert match
    return match[1]


def letter_ids(html: str) -> list[str]:
    return re.findall(r'name="letter" value="([^"]+)"', html)
