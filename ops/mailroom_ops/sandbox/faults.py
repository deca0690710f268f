"""Fault injection: errors for the next requests to a provider."""

import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Fault", "Faults", "Kind"]


class Kind(StrEnum):
    """The effect on one request. The first group refuses the mail, the second accepts it."""

    STATUS = "status"  # an error with `status`, in the provider's format
    REPLY = "reply"  # an answer with exactly `status`, `headers` and `body`
    RATE_LIMIT = "rate-limit"  # refused by a rate limit for `seconds`, in the provider's format
    RESET_BEFORE_BODY = "reset-before-body"  # the connection is reset before the body is read
    HANG = "hang"  # no answer

    DELAY = "delay"  # answered after `seconds`
    HOLD = "hold"  # answered when `release` is called
    RESET_AFTER_ACCEPT = "reset-after-accept"  # the connection is reset after the mail is accepted
    HANG_AFTER_ACCEPT = "hang-after-accept"  # no answer after the mail is accepted
    GARBAGE = "garbage"  # answered with a 200 that is not the provider's
    FLOOD = "flood"  # an endless answer
    DRIP = "drip"  # an endless answer, a byte at a time


@dataclass(frozen=True, slots=True)
class Fault:
    """An error for one request."""

    kind: Kind
    status: int = 500
    seconds: float = 1.0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""  # SMTP only: connect, ehlo, auth, mail, rcpt, data; empty: the reply to the content

    @classmethod
    def from_json(cls, values: Any) -> "Fault":
        """Parse a fault; raise ValueError with a sentence if it is malformed."""
        try:
            return cls(
                kind=Kind(values["kind"]),
                status=int(values.get("status", 500)),
                seconds=float(values.get("seconds", 1.0)),
                body=str(values.get("body", "")),
                headers={str(name): str(value) for name, value in values.get("headers", {}).items()},
                stage=str(values.get("stage", "")),
            )
        except (ArithmeticError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"a fault is {{provider, kind, count}}; kind is one of {', '.join(Kind)}") from error


@dataclass(slots=True)
class Series:
    """The same fault for the next `count` requests."""

    fault: Fault
    count: int


class Faults:
    """The pending faults of each provider, in the order in which they were added; thread-safe."""

    def __init__(self) -> None:
        self._pending: dict[str, deque[Series]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._paused = 0
        self._releases = 0

    def add(self, provider: str, fault: Fault | Kind, count: int = 1) -> None:
        fault = fault if isinstance(fault, Fault) else Fault(fault)
        if count > 0:
            with self._changed:
                self._pending[provider].append(Series(fault, count))

    def take(self, provider: str, stage: str = "") -> Fault | None:
        """Remove and return the provider's next fault, if it is one for this stage."""
        with self._changed:
            pending = self._pending[provider]
            if not pending or pending[0].fault.stage != stage:
                return None
            series = pending[0]
            series.count -= 1
            if series.count == 0:
                pending.popleft()
            return series.fault

    def pending(self) -> dict[str, list[str]]:
        """Return the kind of each pending fault, by provider."""
        with self._changed:
            return {
                provider: [series.fault.kind for series in faults for _ in range(series.count)]
                for provider, faults in self._pending.items()
                if faults
            }

    def series(self) -> list[tuple[str, Fault, int]]:
        """Return each provider's pending faults, and for how many requests each is."""
        with self._changed:
            return [
                (provider, series.fault, series.count)
                for provider, faults in self._pending.items()
                for series in faults
            ]

    def clear(self, provider: str = "") -> None:
        """Remove the faults of a provider, or of all and release paused requests."""
        with self._changed:
            if provider:
                self._pending.pop(provider, None)
                return
            self._pending.clear()
        self.release()

    def hold(self) -> None:
        """Hold the calling request until `release`."""
        with self._changed:
            release = self._releases
            self._paused += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases > release)
            self._paused -= 1

    def wait_paused(self, count: int = 1, timeout: float = 10.0) -> None:
        """Wait until `count` requests are paused; raise TimeoutError if they do not arrive."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._paused >= count, timeout):
                raise TimeoutError(f"{self._paused} of {count} requests are paused")

    def release(self) -> None:
        """Release all paused requests."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()
