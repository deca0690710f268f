"""Delivery reports for each mail in the inbox, posted to Mailroom as its provider would.

The local part of the recipient selects the events: `bounced@…`, `complained+anything@…` and so on, at any domain. Any
other mail is delivered.
"""

import http.client
import queue
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured, Inbox
from mailroom_ops.sandbox.reports import Posting, report

__all__ = ["Reporter", "events_for"]

EVENTS: dict[str, tuple[EventType, ...]] = {
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
RETRY_PAUSES_SECONDS = (0.2, 1.0, 3.0)  # after a 5xx


def events_for(address: str) -> tuple[EventType, ...]:
    """Return the events of a mail to an address."""
    return EVENTS.get(address.partition("@")[0].partition("+")[0].lower(), (EventType.DELIVERED,))


class Reporter:
    """A thread that posts reports of every mail in the inbox, until it is stopped."""

    def __init__(self, inbox: Inbox, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._waiting: queue.SimpleQueue[Captured | None] = queue.SimpleQueue()
        self._unsubscribe: Callable[[], None] = inbox.subscribe(self._waiting.put)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._unsubscribe()
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while mail := self._waiting.get():
            for event_type in events_for(mail.to):
                if posting := report(mail, event_type):
                    self._post_with_retries(posting)

    def _post_with_retries(self, posting: Posting) -> None:
        for pause in (*RETRY_PAUSES_SECONDS, 0.0):
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
