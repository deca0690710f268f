"""The network between our code and AWS: latency, faults, and the models of the services behind it."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mailroom.model.json_fields import compact_json
from mailroom.network.http import NoAnswer, Unreachable
from tests.simulation.dynamodb import Table
from tests.simulation.faults import Fault, Faults
from tests.simulation.scheduler import Scheduler, current_process
from tests.simulation.sqs import Queues
from tests.simulation.ssm import Parameters

__all__ = ["Network", "SsmCall"]

Request = Callable[[str, Mapping[str, Any]], tuple[int, dict[str, Any]]]
LATENCY = {"sqs": (0.008, 0.03), "dynamodb": (0.003, 0.012), "ssm": (0.015, 0.06)}
THROTTLED = {
    "sqs": "RequestThrottled",
    "dynamodb": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
    "ssm": "ThrottlingException",
}

CHECK_JSON = 20  # every twentieth request: to write and read the JSON of all is a tenth of a history's time

SsmCall = tuple[str, float, float, frozenset[str], bool]  # process, start, end, names, whether it was answered


class Network:
    """Carries requests to the models of AWS."""

    def __init__(
        self, scheduler: Scheduler, faults: Faults, table: Table, queues: Queues, parameters: Parameters, timeout: float
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._services: Mapping[str, Request] = {
            "dynamodb": table.request,
            "sqs": queues.request,
            "ssm": parameters.request,
        }
        self.timeout = timeout
        self.ssm_calls: list[SsmCall] = []
        self._requests = 0

    def post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Make one request; raise Unreachable or NoAnswer where no answer comes."""
        self._requests += 1
        if self._requests % CHECK_JSON == 0 and json.loads(compact_json(payload)) != payload:
            raise TypeError(f"{service} {operation} is not what its JSON says: {payload}")
        if service != "ssm":
            return self._post(service, operation, payload)
        names = frozenset(payload.get("Names") or [payload.get("Path") or payload.get("Name")])
        start, answered = self._scheduler.now, False
        try:
            status, answer = self._post(service, operation, payload)
            answered = status == 200
        finally:
            self.ssm_calls.append((current_process(), start, self._scheduler.now, names, answered))
        return status, answer

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        name = f"{service} {operation}"
        low, high = LATENCY[service]
        latency = low + (high - low) * self._scheduler.random.random()
        fault = self._faults.meet(service, operation, payload)
        effect = partial(self._services[service], operation, payload)
        if fault is None:
            return self._scheduler.call(name, effect, latency / 2, latency / 2)  # type: ignore[no-any-return]
        return self._go_wrong(fault, name, service, effect, latency)

    def _go_wrong(
        self, fault: Fault, name: str, service: str, effect: Callable[[], Any], latency: float
    ) -> tuple[int, dict[str, Any]]:
        scheduler = self._scheduler
        scheduler.note(current_process(), f"{name}: {fault.kind}")
        match fault.kind:
            case "down":
                scheduler.call(name, lambda: None, latency / 2, 0.0)
                raise Unreachable("ConnectionRefusedError")
            case "hang":
                scheduler.call(name, lambda: None, self.timeout, 0.0)
                raise NoAnswer("TimeoutError")
            case "late":
                scheduler.after(self.timeout + latency, effect)
                scheduler.call(name, lambda: None, self.timeout, 0.0)
                raise NoAnswer("TimeoutError")
            case "lost":
                scheduler.call(name, effect, latency / 2, latency / 2)
                raise NoAnswer("ConnectionResetError")
        status, code = {
            "error": (500, "InternalServerError"),
            "throttle": (400, THROTTLED[service]),
            "denied": (400, "AccessDeniedException"),
        }[fault.kind]
        scheduler.call(name, lambda: None, latency / 2, latency / 2)
        return status, {"__type": code, "message": "simulated"}
