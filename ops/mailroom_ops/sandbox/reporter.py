"""Tells Mailroom what became of each mail, as its provider would. What becomes of it is in the address it went to.

`bounced@…`, `complained+anything@…` and the like come to that, at any domain; every other mail is delivered.
"""

import http.client
import queue
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured, Inbox
from mailroom_ops.sandbox.reports import Posting, report

__all__ = ["Reporter", "fate_of"]

FATES: dict[str, tuple[EventType, ...]] = {
    "bounced": (EventType.BOUNCED,),
    "bounce": (EventType.BOUNCED,),
    "complained": (EventType.DELIVERED, EventType.COMPLAINED),
    "complaint": (EventType.DELIVERED, EventType.COMPLAINED),
    "suppressed": (EventType.SUPPRESSED,),
    "suppressionlist": (EventType.SUPPRESSED,),
    "delayed": (EventType.DEFERRED, EventType.DELIVERED),
    "failed": (EventType.FAILED,),
    "opened": (EventType.DELIVERED, EventType.OPENED),
}
PAUSES = (0.2, 1.0, 3.0)  # before it says so again, to a Mailroom that could not take it in


def fate_of(address: str) -> tuple[EventType, ...]:
    """Return what becomes of a mail to this address."""
    return FATES.get(address.partition("@")[0].partition("+")[0].lower(), (EventType.DELIVERED,))


class Reporter:
    """Posts reports of every mail that arrives in the inbox, from a thread of its own, until it is stopped."""

    def __init__(self, inbox: Inbox, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._waiting: queue.SimpleQueue[Captured | None] = queue.SimpleQueue()
        self._leave: Callable[[], None] = inbox.subscribe(self._waiting.put)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._leave()
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while mail := self._waiting.get():
            for what in fate_of(mail.to):
                if posting := report(mail, what):
                    self._say(posting)

    def _say(self, posting: Posting) -> None:
        for pause in (*PAUSES, 0.0):
            if self._post(posting) < 500 or self._stopping.wait(pause):
                return

    def _post(self, posting: Posting) -> int:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        try:
            connection.request("POST", posting.path, posting.body, dict(posting.headers))
            answer = connection.getresponse()
            answer.read()
        except OSError:
            return 503
        finally:
            connection.close()
        return answer.status
