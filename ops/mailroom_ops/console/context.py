"""What a page works with: its environment, the ledger, the frame, and a yes before something is changed."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from mailroom_ops.console.jobs import Jobs
from mailroom_ops.environment import Environment
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.stats import HourCache
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.server import Request, Response

__all__ = ["Confirmation", "PageContext", "SharedEnvironment", "away", "fields"]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is asked before something is changed: `what` will happen to how many, and what to post again for it."""

    title: str
    what: str
    button: str
    path: str  # where the answer is posted, such as /console/queues
    values: Mapping[str, Sequence[str]]
    back: str
    details: Sequence[str] = ()


@dataclass
class SharedEnvironment(Environment):
    """An environment that several threads ask: boto3 makes clients for one at a time."""

    _making: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def like(cls, other: Environment) -> "SharedEnvironment":
        """Return the same environment, of which nothing was asked yet."""
        return cls(other.label, other.profile, other.region_name, other.stack_name, other.local_url)

    def client(self, service: str, region: str | None = None) -> Any:
        with self._making:
            return super().client(service, region)


@dataclass
class PageContext:
    """Asks AWS at the first need, and anew after it has refused: credentials may have come back."""

    frame: Frame
    environment: SharedEnvironment
    jobs: Jobs = field(default_factory=Jobs)
    hours: HourCache = field(default_factory=HourCache)
    _queries: LedgerQueries | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def queries(self) -> LedgerQueries:
        with self._lock:
            if self._queries is None:
                self._queries = LedgerQueries.of(self.environment)
            return self._queries

    def forget(self) -> None:
        """Begin anew with AWS at the next request."""
        with self._lock:
            self.environment = SharedEnvironment.like(self.environment)
            self._queries = None

    def page(self, template: str, values: Mapping[str, Any] = {}, status: int = 200) -> Response:
        return self.frame.page(template, values, status)

    def is_confirmed(self, form: Mapping[str, Sequence[str]]) -> bool:
        """Tell whether a form is the answer to `confirm`: in production the environment's name was typed."""
        return "".join(form.get("confirmed", ())).strip() == self.frame.label

    def confirm(self, asked: Confirmation, form: Mapping[str, Sequence[str]]) -> Response:
        """Ask by a page of its own; `form` is what was posted, for a name that was typed wrong."""
        pairs = [(name, value) for name, values in asked.values.items() for value in values]
        return self.page("confirm", {"asked": asked, "pairs": pairs, "wrong": "confirmed" in form})


def fields(request: Request) -> dict[str, list[str]]:
    """Return what a form posted, or a query asks."""

    said = request.body.decode("utf-8", "replace") if request.method == "POST" else request.query
    return parse_qs(said)


def away(path: str) -> Response:
    """Lead to another page, such as the one that shows what was done."""
    return Response(303, headers=(("location", path), ("cache-control", "no-store")))
