"""The inbox every sandbox delivers to: what a reader would have got."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = ["Captured", "Inbox"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Captured:
    """One mail as it arrived. `id` is the provider's name for it, `message_id` ours, as its tags carried it."""

    message_id: str
    to: str
    from_: str
    reply_to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    provider: str
    tenant: str = ""
    kind: str = ""
    locale: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    received_at: str = field(default_factory=_now)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {"from": values.pop("from_"), **values}


class Inbox:
    """Captured mails; safe to use from any thread."""

    def __init__(self) -> None:
        self._mails: list[Captured] = []
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[Captured], None]] = []

    def add(self, mail: Captured) -> None:
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback(mail)

    def all(self) -> list[Captured]:
        """Return every mail, newest first."""
        with self._changed:
            return self._mails[::-1]

    def clear(self) -> None:
        with self._changed:
            self._mails.clear()

    def wait(self, count: int = 1, timeout: float = 10.0) -> list[Captured]:
        """Return every mail once there are `count` of them; raise TimeoutError if they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._mails) >= count, timeout):
                raise TimeoutError(f"{len(self._mails)} of {count} mails arrived within {timeout} s")
            return self._mails[::-1]

    def subscribe(self, callback: Callable[[Captured], None]) -> Callable[[], None]:
        """Call `callback` with each mail from now on; return what ends that."""
        with self._changed:
            self._callbacks.append(callback)

        def leave() -> None:
            with self._changed:
                self._callbacks.remove(callback)

        return leave
