"""The suppression list of a sandboxed provider account: addresses whose mail bounced, or whose readers complained."""

import threading
import time
import uuid
from dataclasses import dataclass, field

from mailroom.feedback.suppression import Cause
from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reporter import events_for

__all__ = ["SuppressedAddress", "SuppressedAddresses", "cause_of_mail"]

CAUSES = {EventType.BOUNCED: Cause.BOUNCE, EventType.COMPLAINED: Cause.COMPLAINT}


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An entry of the list."""

    address: str
    cause: Cause
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class SuppressedAddresses:
    """A list, oldest entry first; thread-safe."""

    def __init__(self) -> None:
        self._entries: dict[str, SuppressedAddress] = {}
        self._lock = threading.Lock()

    def learn(self, mail: Captured) -> None:
        """Add the recipient of an accepted mail, if it is one that bounces or complains."""
        if cause := cause_of_mail(mail):
            self.add(mail.to, cause)

    def add(self, address: str, cause: Cause) -> None:
        with self._lock:
            self._entries.setdefault(address.lower(), SuppressedAddress(address.lower(), cause))

    def find(self, address: str) -> SuppressedAddress | None:
        with self._lock:
            return self._entries.get(address.lower())

    def remove(self, address: str) -> bool:
        """Remove an address; False if it was not on the list."""
        with self._lock:
            return self._entries.pop(address.lower(), None) is not None

    def all(self) -> list[SuppressedAddress]:
        with self._lock:
            return list(self._entries.values())


def cause_of_mail(mail: Captured) -> Cause | None:
    """Return why a provider suppresses the recipient of a mail after it; None for most."""
    return next((CAUSES[event] for event in events_for(mail.to) if event in CAUSES), None)
