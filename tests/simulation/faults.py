"""Faults of AWS and of the providers: what goes wrong, and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mailroom.model.json_fields import compact_json
from tests.simulation.scheduler import START, Scheduler

__all__ = ["AWS_FAULTS", "PROVIDER_FAULTS", "Fault", "Faults"]

# kind: whether the effect takes place all the same
AWS_SERVICES = ("dynamodb", "sqs", "ssm")
AWS_FAULTS = {
    "down": False,  # no connection
    "error": False,  # 500
    "throttle": False,  # refused for the rate
    "hang": False,  # no answer before the client gives up
    "lost": True,  # the effect takes place, the connection breaks before the answer
    "late": True,  # the effect takes place after the client has given up
    "denied": False,  # AccessDenied: an expired token, a policy that was changed
}
PROVIDER_FAULTS = {
    "refused": False,  # no connection
    "connect_timeout": False,
    "hang": False,  # the request is read and never answered
    "error_before": False,  # 503, nothing was taken
    "rate_limit": False,  # refused, with how long to wait
    "busy": False,  # refused for the rate, without a word on how long
    "bad_key": False,
    "quota": False,
    "reject": False,  # this mail will never be taken
    "error_after": True,  # 500, yet it was taken
    "no_answer": True,  # taken, and the answer never comes
    "reset": True,  # taken, and the connection breaks
    "garbage": True,  # taken, and the answer makes no sense
    "long_id": True,  # taken, under a name of 3,000 characters
    "slow": True,  # taken, and answered late
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one service or provider account, from `start` to `end`."""

    target: str  # dynamodb | sqs | ssm | the name of a provider account
    kind: str
    start: float
    end: float
    share: float = 1.0  # of the calls
    seconds: float = 0.0  # how long a provider asks to wait, or takes to answer
    operation: str = ""  # the beginning of the operation's name; empty: any
    containing: str = ""  # part of the request's JSON, to AWS only; empty: any
    count: int = 0  # how many calls it meets at most; 0: any number

    def __post_init__(self) -> None:
        kinds = AWS_FAULTS if self.target in AWS_SERVICES else PROVIDER_FAULTS
        if self.kind not in kinds:
            raise ValueError(f"{self.target} has no fault {self.kind}: use {', '.join(kinds)}")

    def __str__(self) -> str:
        share = f", {self.share:.0%} of the calls" if self.share < 1 else ""
        seconds = f" ({self.seconds:g} s)" if self.seconds else ""
        operation = f" {self.operation}" if self.operation else ""
        operation += f" of {self.containing}" if self.containing else ""
        times = f", {self.count} times" if self.count else ""
        return f"{self.target}{operation}: {self.kind}{seconds} from {self.start:g} to {self.end:g}{share}{times}"


class Faults:
    """Decides which fault a call meets."""

    def __init__(self, scheduler: Scheduler, faults: Iterable[Fault]) -> None:
        self._scheduler = scheduler
        self._by_target: dict[str, list[Fault]] = {}
        self._met: dict[Fault, int] = {}
        for fault in faults:
            self._by_target.setdefault(fault.target, []).append(fault)

    def meet(self, target: str, operation: str, payload: Mapping[str, Any] = {}) -> Fault | None:
        """Return the fault that a call of `operation` meets now, if any."""
        now = self._scheduler.now - START
        for fault in self._by_target.get(target, ()):
            if not fault.start <= now < fault.end or not operation.startswith(fault.operation):
                continue
            if fault.containing and fault.containing not in compact_json(payload):
                continue
            if fault.share < 1 and self._scheduler.random.random() >= fault.share:
                continue
            if fault.count:
                if self._met.get(fault, 0) >= fault.count:
                    continue
                self._met[fault] = self._met.get(fault, 0) + 1
            return fault
        return None
