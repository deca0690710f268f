"""Batches: messages that travel through a queue together, and the requests in which they are sent."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailroom.ledger.table import LEASE_SECONDS
from mailroom.model.kinds import Lane
from mailroom.model.message import Parcel, new_id

__all__ = ["COPY_DELAY_SECONDS", "MAX_CHARACTERS", "Batch", "Request", "split"]

MAX_MAILS = 100
MAX_CHARACTERS = 200_000  # of JSON; the smallest limit that SQS has had is 256 KiB
COPY_DELAY_SECONDS = LEASE_SECONDS  # the copy of a batch arrives when its first process is done or dead
RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that travel together, and are sent in as few requests as possible."""

    id: str
    parcels: tuple[Parcel, ...]
    lane: Lane
    postponed: int = 0

    @property
    def tenant(self) -> str:
        tenants = {parcel.tenant for parcel in self.parcels}
        return tenants.pop() if len(tenants) == 1 else ""

    @property
    def alone(self) -> str:
        """The row's `batch` of a message that left this batch: its own parcel is queued, or about to be."""
        return f"alone {self.id}"

    def request_named(self, name: str) -> "Request | None":
        """Return the request of this batch that a row's `batch` names, if it does."""
        return Request.from_name(name) if name.startswith(f"{self.id} ") else None

    def to_json(self) -> str:
        values = json.dumps({"batch": self.id, "lane": self.lane, "postponed": self.postponed})
        return f'{values[:-1]},"parcels":[{",".join(parcel.to_json() for parcel in self.parcels)}]}}'

    @classmethod
    def from_json(cls, body: str) -> "Batch | None":
        """Read a batch; None for the body of anything else."""
        values = json.loads(body)
        return cls.from_dict(values) if "parcels" in values else None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Batch":
        parcels = tuple(Parcel.from_dict(parcel) for parcel in values["parcels"])
        return cls(values.get("batch", ""), parcels, Lane(values["lane"]), values.get("postponed", 0))


@dataclass(frozen=True, slots=True)
class Request:
    """Mails of a batch that an account gets at once. The row of each has the name of the request, as its `batch`."""

    batch_id: str
    account: str
    token: str  # of the claims under which it was made first
    is_recorded: bool = True  # its key, before it leaves: processes before 2026-12 recorded none

    @property
    def name(self) -> str:
        return " ".join((self.batch_id, self.account, self.token, *([RECORDED] if self.is_recorded else [])))

    @classmethod
    def from_name(cls, name: str) -> "Request":
        batch_id, account, token, *recorded = name.split(" ")
        return cls(batch_id, account, token, bool(recorded))

    def key(self, parcels: Sequence[Parcel]) -> str:
        """Return the idempotency key of the request with these mails: it names its very mails."""
        lines = [self.account, *(parcel.message.id for parcel in parcels)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split(parcels: Iterable[Parcel]) -> Iterator[Batch]:
    """Return batches of distinct messages, the oldest first, each small enough for the queue."""
    packed: list[Parcel] = []
    size = 0
    distinct = {parcel.message.id: parcel for parcel in parcels}
    for parcel in sorted(distinct.values(), key=lambda parcel: (parcel.message.created_at, parcel.message.id)):
        characters = len(parcel.to_json())
        if packed and (size + characters > MAX_CHARACTERS or len(packed) == MAX_MAILS):
            yield Batch(new_id(), tuple(packed), packed[0].lane)
            packed, size = [], 0
        packed.append(parcel)
        size += characters
    if packed:
        yield Batch(new_id(), tuple(packed), packed[0].lane)
