"""The inbox page: what a reader would get, as it arrives, and buttons that send a sample of each kind."""

import json
import queue
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mailroom_ops.local.samples import Samples
from mailroom_ops.local.server import Request, Response, refusal
from mailroom_ops.sandbox.inbox import Captured, Inbox

__all__ = ["Console"]

ASSETS = Path(__file__).with_name("console")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The mail gets a page and a policy of its own: in a srcdoc it would inherit ours, which forbids its inline styles.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: {images}; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
PREFERENCE = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
HEARTBEAT_SECONDS = 15.0


@dataclass
class Console:
    """Answers the page, its data and its buttons; None for what is not its own."""

    inbox: Inbox
    samples: Samples
    about: Callable[[], dict[str, str]]
    _pages: "set[queue.SimpleQueue[Captured | None]]" = field(default_factory=set)

    def answer(self, request: Request) -> Response | None:
        method = "GET" if request.method == "HEAD" else request.method
        match method, request.path.strip("/").split("/"):
            case "GET", [""]:
                return _page("index.html")
            case "GET", ["inbox.json"]:
                return _json([mail.to_json() for mail in self.inbox.all()])
            case "DELETE", ["inbox.json"]:
                return self._empty()
            case _, ["" | "inbox.json"]:
                return refusal(405, "Method Not Allowed")
            case "GET", ["console", "mails.json"]:
                return _json([_summary(mail) for mail in self.inbox.all()])
            case "GET", ["console", "mails", name]:
                return self._mail(name, request.query)
            case "GET", ["console", "options.json"]:
                return _json(self._options())
            case "GET", ["console", "events"]:
                return Response(200, self._events(), _headers("text/event-stream"))
            case "POST", ["console", "samples"]:
                return self._send(request)
            case "GET", ["console", name] if (ASSETS / name).is_file() and Path(name).suffix in TYPES:
                return _page(name)
            case _, ["console", *_]:
                return refusal(404, "Not Found")
        return None

    def _mail(self, name: str, query: str) -> Response:
        mail_id, _, form = name.rpartition(".")
        mail = next((mail for mail in self.inbox.all() if mail.id == mail_id), None)
        if mail is None or form not in ("json", "html"):
            return refusal(404, "Not Found")
        if form == "json":
            return _json(mail.to_json())
        options = {key: values[-1] for key, values in parse_qs(query).items()}
        policy = MAIL_POLICY.format(images="https: http:" if options.get("images") else "")
        html = as_seen(mail.html, options.get("scheme", "light")).encode()
        return Response(200, html, _headers("text/html; charset=utf-8", policy))

    def _options(self) -> dict[str, Any]:
        kinds = list(self.samples.kinds())
        return {
            "types": kinds,
            "locales": self.samples.locales(),
            "tenants": list(self.samples.tenants()),
            **self.about(),
        }

    def _send(self, request: Request) -> Response:
        if request.header("content-type").partition(";")[0] != "application/json":
            return refusal(415, "Send the request as application/json.")
        try:
            wanted = json.loads(request.body)
            status, text = self.samples.send(
                str(wanted["type"]), str(wanted.get("locale", "en")), str(wanted.get("tenant", "default"))
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return refusal(422, "No such sample: give a type, a locale and a tenant out of /console/options.json.")
        return _json({"status": status, "answer": text})

    def _empty(self) -> Response:
        self.inbox.clear()
        for news in list(self._pages):
            news.put(None)
        return Response(204)

    def _events(self) -> Iterator[bytes]:
        """Tell a page of every mail, and of an emptied inbox, for as long as it listens."""
        news: queue.SimpleQueue[Captured | None] = queue.SimpleQueue()
        leave = self.inbox.subscribe(news.put)
        self._pages.add(news)
        try:
            yield b"retry: 500\n\n: listening\n\n"
            while True:
                try:
                    mail = news.get(timeout=HEARTBEAT_SECONDS)
                except queue.Empty:
                    yield b": still here\n\n"
                else:
                    name, data = ("mail", _summary(mail)) if mail else ("emptied", {})
                    yield f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        finally:
            self._pages.discard(news)
            leave()


def as_seen(html: str, scheme: str) -> str:
    """Return a mail as a reader with a light or a dark device sees it, its links leading out of the frame."""
    other = "light" if scheme == "dark" else "dark"
    forced = {scheme: "(min-width:0)", other: "(max-width:0)"}
    seen = PREFERENCE.sub(lambda found: forced.get(found[1].lower(), "(max-width:0)"), html)
    head = '<base target="_blank">'
    if "color-scheme" in html:
        head += f"<style>:root{{color-scheme:{'dark' if scheme == 'dark' else 'light'} !important}}</style>"
    return HEAD.sub(lambda found: found[0] + head, seen, count=1) if HEAD.search(seen) else head + seen


def _summary(mail: Captured) -> dict[str, Any]:
    values = mail.to_json()
    html, text = values.pop("html"), values.pop("text")
    del values["headers"]
    return {**values, "size": len(html.encode()) + len(text.encode())}


def _page(name: str) -> Response:
    return Response(200, (ASSETS / name).read_bytes(), _headers(f"{TYPES[Path(name).suffix]}; charset=utf-8"))


def _json(value: Any) -> Response:
    return Response(200, json.dumps(value, ensure_ascii=False).encode(), _headers("application/json"))


def _headers(content_type: str, policy: str = PAGE_POLICY) -> tuple[tuple[str, str], ...]:
    return (
        ("content-type", content_type),
        ("content-security-policy", policy),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    )
