"""Fault injection at /faults of the local stack: make a provider's sandbox fail for its next requests.

GET    /faults             the pending faults, the providers, and the number of requests to each
POST   /faults             {provider, kind, count, status, seconds}
DELETE /faults[/PROVIDER]  remove the pending faults
"""

import json
from dataclasses import dataclass
from typing import Any

from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.web.pages import headers, json_answer
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["MAX_COUNT", "FaultsPage"]

MAX_COUNT = 1_000_000  # of requests that one call makes fail
MAX_SECONDS = 3600.0
STATUSES = range(400, 600)


@dataclass(frozen=True, slots=True)
class FaultsPage:
    """Serves the faults of the provider sandboxes."""

    sandbox: Sandbox

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for another path."""
        method = "GET" if request.method == "HEAD" else request.method
        match method, request.path.strip("/").split("/"):
            case "GET", ["faults"]:
                return json_answer(self._state())
            case "POST", ["faults"]:
                return self._add(request)
            case "DELETE", ["faults"]:
                self.sandbox.faults.clear()
                return Response(204)
            case "DELETE", ["faults", provider] if provider in self._providers():
                self.sandbox.faults.clear(provider)
                return Response(204)
            case "DELETE", ["faults", _]:
                return refusal(404, f"There is no such provider: use {', '.join(self._providers())}.")
            case _, ["faults", *_]:
                return refusal(405, "Method Not Allowed")
        return None

    def _state(self) -> dict[str, Any]:
        return {
            "faults": [_described(*series) for series in self.sandbox.faults.series()],
            "providers": self._providers(),
            "kinds": list(Kind),
            "requests": dict(self.sandbox.requests),
        }

    def _providers(self) -> list[str]:
        return sorted({*self.sandbox.stubs, "smtp"})

    def _add(self, request: Request) -> Response:
        try:
            values = json.loads(request.body)
            fault, provider, count = Fault.from_json(values), values.get("provider"), int(values.get("count", 1))
        except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
            return _problem(f"Give provider, kind and count as JSON; kind is one of {', '.join(Kind)}.")
        if provider not in self._providers():
            return _problem(f"There is no such provider: use {', '.join(self._providers())}.")
        if not 1 <= count <= MAX_COUNT:
            return _problem(f"A count is a number from 1 to {MAX_COUNT}.")
        if not 0 <= fault.seconds <= MAX_SECONDS:
            return _problem(f"The seconds are a number from 0 to {MAX_SECONDS:.0f}.")
        if fault.kind is Kind.STATUS and fault.status not in STATUSES:
            return _problem("A status is a number from 400 to 599.")
        self.sandbox.faults.add(provider, fault, count)
        return json_answer(self._state())


def _described(provider: str, fault: Fault, count: int) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    if fault.kind in (Kind.STATUS, Kind.REPLY):
        detail["status"] = fault.status
    if fault.kind in (Kind.RATE_LIMIT, Kind.DELAY):
        detail["seconds"] = fault.seconds
    return {"provider": provider, "kind": fault.kind, **detail, "count": count}


def _problem(sentence: str) -> Response:
    return Response(422, json.dumps({"message": sentence}).encode(), headers("application/json"))
