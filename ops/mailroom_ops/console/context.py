"""The context of all pages: the environment, the ledger, the frame, and the confirmation before a change."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mailroom_ops.console.cached import Cached
from mailroom_ops.console.drafts import Drafts
from mailroom_ops.console.jobs import Jobs
from mailroom_ops.environment import Environment
from mailroom_ops.errors import OperatorError
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.stats import HourCache
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.tenants import DEFAULT, list_tenants
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.server import Request, Response

__all__ = ["Confirmation", "PageContext", "SharedEnvironment", "form_values", "last_value", "redirect"]

TENANTS_TTL_SECONDS = 10.0
ALERTS_TTL_SECONDS = 15.0
MAIL_TEMPLATES = Path(__file__).parents[3] / "layers" / "templates"  # of this checkout


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A question before a change: its effect in `text` and `details`, and the `values` to post to `path` again."""

    title: str
    text: str
    button: str
    path: str
    values: Mapping[str, Sequence[str]]
    back: str
    details: Sequence[str] = ()


@dataclass
class SharedEnvironment(Environment):
    """An environment for several threads: boto3 creates clients in one thread at a time only."""

    _creating: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def of(cls, other: Environment) -> "SharedEnvironment":
        """Return the same environment, without the clients and answers of `other`."""
        return cls(other.label, other.profile, other.region_name, other.stack_name, other.local_url)

    def client(self, service: str, region: str | None = None) -> Any:
        with self._creating:
            return super().client(service, region)


@dataclass
class PageContext:
    """Connects to AWS when it is first needed, and again after a failure: credentials may have been renewed."""

    frame: Frame
    environment: SharedEnvironment
    mail_templates: Path = MAIL_TEMPLATES
    jobs: Jobs = field(default_factory=Jobs)
    drafts: Drafts = field(default_factory=Drafts)
    hours: HourCache = field(default_factory=HourCache)
    alerts: Cached[list[Any]] = field(default_factory=lambda: Cached(ALERTS_TTL_SECONDS))  # of health.py
    tenants: Cached[list[str]] = field(default_factory=lambda: Cached(TENANTS_TTL_SECONDS))
    _queries: LedgerQueries | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def queries(self) -> LedgerQueries:
        with self._lock:
            if self._queries is None:
                self._queries = LedgerQueries.of(self.environment)
            return self._queries

    def tenant_names(self) -> list[str]:
        """Return the tenants with settings, as of some seconds ago; only `default` where they cannot be read."""
        return self.tenants.get(self._read_tenants)

    def _read_tenants(self) -> list[str]:
        try:
            store = Parameters(self.environment)
            tenants = list_tenants({**store.values("senders"), **store.values("brands")})
        except OperatorError:
            tenants = []  # a filter by tenant is not worth an error page
        return sorted({DEFAULT, *(tenant.name for tenant in tenants if not tenant.removed)})

    def reset(self) -> None:
        """Drop all AWS clients; the next request creates new ones."""
        with self._lock:
            self.environment = SharedEnvironment.of(self.environment)
            self._queries = None
        self.alerts.forget()
        self.tenants.forget()

    def page(self, template: str, values: Mapping[str, Any] = {}, status: int = 200) -> Response:
        return self.frame.page(template, values, status)

    def is_confirmed(self, form: Mapping[str, Sequence[str]]) -> bool:
        """Return whether a form answers `confirm`; in production, the operator types the environment's name."""
        return "".join(form.get("confirmed", ())).strip() == self.frame.label

    def confirm(self, confirmation: Confirmation, form: Mapping[str, Sequence[str]]) -> Response:
        """Render a confirmation; `form` is the posted form, which may contain a wrong name."""
        pairs = [(name, value) for name, values in confirmation.values.items() for value in values]
        values = {"confirmation": confirmation, "pairs": pairs, "is_wrong": "confirmed" in form}
        return self.page("confirm", values)


def form_values(request: Request) -> dict[str, list[str]]:
    """Parse a posted form, or the query of a GET."""
    return parse_qs(request.body.decode("utf-8", "replace") if request.method == "POST" else request.query)


def last_value(form: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the last value of a field, without spaces around it; empty where it is missing."""
    return form.get(name, [""])[-1].strip()


def redirect(path: str) -> Response:
    """Redirect to a page by GET, such as to the result after a POST."""
    return Response(303, headers=(("location", path), ("cache-control", "no-store")))
