"""Faults on demand: how the next requests to a provider go wrong."""

import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Fault", "Faults", "Kind"]


class Kind(StrEnum):
    """What happens to one request. All but the last group: the mail is not taken."""

    STATUS = "status"  # `status`, in the provider's own words
    REPLY = "reply"  # exactly `status`, `headers` and `body`
    RATE_LIMIT = "rate-limit"  # refused for `seconds`, in the provider's own way
    RESET_BEFORE_BODY = "reset-before-body"  # the connection is cut before the body is read
    HANG = "hang"  # no answer, ever

    DELAY = "delay"  # taken, answered after `seconds`
    HOLD = "hold"  # taken and answered once `release` is called
    RESET_AFTER_ACCEPT = "reset-after-accept"  # taken, then the connection is cut
    HANG_AFTER_ACCEPT = "hang-after-accept"  # taken, then no answer, ever
    GARBAGE = "garbage"  # taken, answered with a 200 that says nothing
    FLOOD = "flood"  # taken, answered without end
    DRIP = "drip"  # taken, answered a byte at a time, without end


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, once."""

    kind: Kind
    status: int = 500
    seconds: float = 1.0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""  # over SMTP, at which command: connect, ehlo, auth, mail, rcpt, data; else when the mail is there

    @classmethod
    def from_json(cls, values: Any) -> "Fault":
        """Read one from outside; raise ValueError with a sentence if it is none."""
        try:
            return cls(
                kind=Kind(values["kind"]),
                status=int(values.get("status", 500)),
                seconds=float(values.get("seconds", 1.0)),
                body=str(values.get("body", "")),
                headers={str(name): str(value) for name, value in values.get("headers", {}).items()},
                stage=str(values.get("stage", "")),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"a fault is {{provider, kind, count}}; kind is one of {', '.join(Kind)}") from error


class Faults:
    """What waits to go wrong, by provider, in the order it was asked for; safe to use from any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._held = 0
        self._releases = 0

    def add(self, provider: str, fault: Fault | Kind, count: int = 1) -> None:
        fault = fault if isinstance(fault, Fault) else Fault(fault)
        with self._changed:
            self._waiting[provider].extend([fault] * count)

    def take(self, provider: str, stage: str = "") -> Fault | None:
        with self._changed:
            waiting = self._waiting[provider]
            return waiting.popleft() if waiting and waiting[0].stage == stage else None

    def pending(self) -> dict[str, list[str]]:
        with self._changed:
            return {provider: [fault.kind for fault in faults] for provider, faults in self._waiting.items() if faults}

    def clear(self) -> None:
        """Let everything go right again, held requests included."""
        with self._changed:
            self._waiting.clear()
        self.release()

    def hold(self) -> None:
        """Wait, as a request, until `release`."""
        with self._changed:
            turn = self._releases
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases > turn)
            self._held -= 1

    def wait_held(self, count: int = 1, timeout: float = 10.0) -> None:
        """Wait until so many requests are held; raise TimeoutError if they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held >= count, timeout):
                raise TimeoutError(f"{self._held} of {count} requests are held")

    def release(self) -> None:
        """Let every held request go on."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()
