"""The inbox of all sandboxes: the mails that recipients would have received."""

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
    """A received mail. `id` is the provider's id of the mail, `message_id` is Mailroom's, from the mail's tags."""

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
    images: Mapping[str, str] = field(default_factory=dict)  # inside the mail: data URLs by content id

    @property
    def shown_html(self) -> str:
        """The HTML as mail clients show it: with the pictures that are inside the mail."""
        html = self.html
        for cid, url in self.images.items():
            html = html.replace(f"cid:{cid}", url)
        return html

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.images:
            del values["images"]
        return {"from": values.pop("from_"), **values}


class Inbox:
    """Received mails; thread-safe."""

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
        """Return all mails, newest first."""
        with self._changed:
            return self._mails[::-1]

    def clear(self) -> None:
        with self._changed:
            self._mails.clear()

    def wait(self, count: int = 1, timeout: float = 10.0) -> list[Captured]:
        """Wait for `count` mails and return all; raise TimeoutError if they do not arrive."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._mails) >= count, timeout):
                raise TimeoutError(f"{len(self._mails)} of {count} mails arrived within {timeout} s")
            return self._mails[::-1]

    def subscribe(self, callback: Callable[[Captured], None]) -> Callable[[], None]:
        """Call `callback` with each new mail; return a function that ends the subscription."""
        with self._changed:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._changed:
                self._callbacks.remove(callback)

        return unsubscribe
