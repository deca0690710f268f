"""The endpoints of tenants with a callback: one accepts each event, one fails now and then, one wants no more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom.network.http import Answer, Url
from tests.simulation.scheduler import Scheduler

__all__ = ["CALLBACK_TENANTS", "Endpoints"]

CALLBACK_TENANTS = ("globex", "initech", "umbrella")
LATENCY_SECONDS = 0.08
FAILS_EACH = 3  # the first request of each third event of initech


@dataclass(slots=True)
class Endpoints:
    """In place of the connections of notify: `accepted` are the ids of events, by tenant."""

    scheduler: Scheduler
    accepted: dict[str, list[str]] = field(default_factory=dict)
    _seen: list[str] = field(default_factory=list)

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        half = LATENCY_SECONDS / 2
        return self.scheduler.call(f"post to {url.host}", lambda: self._answer(headers, content), half, half)  # type: ignore[no-any-return]

    def _answer(self, headers: Mapping[str, str], content: bytes) -> Answer:
        id_, tenant = headers["webhook-id"], str(json.loads(content)["data"]["tenant"])
        if tenant == "umbrella":
            return Answer(410, {}, b"")
        if id_ not in self._seen:
            self._seen.append(id_)
            if tenant == "initech" and len(self._seen) % FAILS_EACH == 0:
                return Answer(503, {}, b"")
        self.accepted.setdefault(tenant, []).append(id_)
        return Answer(204, {}, b"")
