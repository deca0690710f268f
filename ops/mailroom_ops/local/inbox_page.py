"""The inbox page: captured emails, updated live, and buttons that send samples."""

import json
import queue
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailroom_ops.local.samples import Sample, Samples, SamplesError
from mailroom_ops.local.snippets import snippets
from mailroom_ops.sandbox.inbox import Captured, Inbox
from mailroom_ops.web.frame import Frame
from mailroom_ops.web.pages import asset, headers, json_answer, last_values, mail_page
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["FOLDER", "InboxPage"]

FOLDER = Path(__file__).with_name("inbox")  # template, scripts and style sheet
HEARTBEAT_SECONDS = 15.0


@dataclass
class InboxPage:
    """Serves the page, its data and its buttons."""

    frame: Frame
    inbox: Inbox
    samples: Samples
    about: Callable[[], dict[str, str]]
    _subscribers: "set[queue.SimpleQueue[Captured | None]]" = field(default_factory=set)

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside the inbox."""
        method = "GET" if request.method == "HEAD" else request.method
        match method, request.path.strip("/").split("/"):
            case "GET", [""]:
                return self.frame.page("inbox")
            case "GET", ["inbox.json"]:
                return json_answer([mail.to_json() for mail in self.inbox.all()])
            case "DELETE", ["inbox.json"]:
                return self._empty()
            case _, ["" | "inbox.json"]:
                return refusal(405, "Method Not Allowed")
            case "GET", ["console", "mails.json"]:
                return json_answer([_summary(mail) for mail in self.inbox.all()])
            case "GET", ["console", "mails", name]:
                return self._mail(name, request.query)
            case "GET", ["console", "options.json"]:
                return json_answer(self._options())
            case "GET", ["console", "events"]:
                return Response(200, self._events(), headers("text/event-stream"))
            case "POST", ["console", "samples"]:
                return self._send(request)
            case "POST", ["console", "snippets"]:
                return self._snippets(request)
            case "GET", ["console", name]:
                return asset(name, FOLDER)
        return None

    def _mail(self, name: str, query: str) -> Response:
        mail_id, _, form = name.rpartition(".")
        mail = next((mail for mail in self.inbox.all() if mail.id == mail_id), None)
        if mail is None or form not in ("json", "html"):
            return refusal(404, "Not Found")
        if form == "json":
            return json_answer(mail.to_json())
        return mail_page(mail.shown_html, last_values(query))

    def _options(self) -> dict[str, Any]:
        return {
            **self.samples.options(),
            **self.about(),
        }

    def _send(self, request: Request) -> Response:
        sample = _sample(request)
        if isinstance(sample, Response):
            return sample
        try:
            status, text = self.samples.send(sample)
        except SamplesError as error:
            return _refusal_of(error)
        return json_answer({"status": status, "answer": text})

    def _snippets(self, request: Request) -> Response:
        sample = _sample(request)
        if isinstance(sample, Response):
            return sample
        try:
            return json_answer(snippets(self.samples.request(sample), f"http://{self.samples.address}"))
        except SamplesError as error:
            return _refusal_of(error)

    def _empty(self) -> Response:
        self.inbox.clear()
        for events in list(self._subscribers):
            events.put(None)
        return Response(204)

    def _events(self) -> Generator[bytes, None, None]:
        """Yield an event for each email and each time the inbox is emptied, until the page disconnects."""
        events: queue.SimpleQueue[Captured | None] = queue.SimpleQueue()
        unsubscribe = self.inbox.subscribe(events.put)
        self._subscribers.add(events)
        try:
            yield b"retry: 500\n\n: listening\n\n"
            while True:
                try:
                    mail = events.get(timeout=HEARTBEAT_SECONDS)
                except queue.Empty:
                    yield b": heartbeat\n\n"
                else:
                    name, data = ("mail", _summary(mail)) if mail else ("emptied", {})
                    yield f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        finally:
            self._subscribers.discard(events)
            unsubscribe()


def _sample(request: Request) -> Sample | Response:
    """Return the sample that a request describes, or its refusal."""
    if request.header("content-type").partition(";")[0] != "application/json":
        return refusal(415, "Send the request as application/json.")
    try:
        values = {name: str(value) for name, value in json.loads(request.body).items()}
        "".join(values.values()).encode()  # half of a surrogate pair is no text
        return Sample(**values)
    except (AttributeError, RecursionError, TypeError, ValueError):
        return refusal(422, "A sample has a source, kind, to, tenant and locale, see /console/options.json.")


def _refusal_of(error: SamplesError) -> Response:
    """Return the refusal of a sample that cannot be made."""
    return Response(422, json.dumps({"message": str(error)}).encode(), headers("application/json"))


def _summary(mail: Captured) -> dict[str, Any]:
    values = mail.to_json()
    html, text, images = values.pop("html"), values.pop("text"), values.pop("images", {})
    del values["headers"]
    return {**values, "size": len(html.encode()) + len(text.encode()) + sum(map(len, images.values()))}
