"""A stub of Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages"""

import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import uuid4

from mailroom.feedback.suppression import Cause
from mailroom_ops.sandbox.provider import UNVERIFIED, RateLimit, Reply, Request, captured_mail, json_reply, mailboxes
from mailroom_ops.sandbox.suppressed import SuppressedAddress, SuppressedAddresses

__all__ = ["STUB", "Mailgun"]

SUPPRESSIONS = {"bounces": Cause.BOUNCE, "complaints": Cause.COMPLAINT, "unsubscribes": Cause.UNSUBSCRIBE}
UNKNOWN = "unknown.example"  # a domain that is not in this account
MESSAGES = {403: "Forbidden", 404: "Domain not found: example.com", 413: "Request Entity Too Large"}


class Mailgun:
    """Accepts a form, urlencoded or multipart; not idempotent."""

    name = "mailgun"

    def __init__(self, api_key: str = "key-sandbox") -> None:
        self.api_key = api_key
        self.suppressed = SuppressedAddresses()  # of all domains

    def settings(self, url: str) -> dict[str, str]:
        return {"api_key": self.api_key, "endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        version, _, rest = request.path.removeprefix("/").partition("/")
        domain, _, verb = unquote(rest).partition("/")
        if (version, domain, request.method) == ("v4", "domains", "GET"):
            return self._domain(request, verb)
        if version == "v3" and verb.partition("?")[0].partition("/")[0] in SUPPRESSIONS:
            return self._suppressions(request, rest.partition("/")[2])
        if version != "v3" or verb != "messages" or request.method != "POST":
            return Reply(200, b"Mailgun Magnificent API", {"content-type": "text/html"})
        expected = b64encode(f"api:{self.api_key}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return self.error(401)
        if domain == UNKNOWN:
            return _refusal(404, f"Domain not found: {domain}")
        if domain == UNVERIFIED:
            reason = (
                "The domain is unverified and requires DNS configuration. Log in to your control panel to view them."
            )
            return _refusal(400, f"Domain {domain} is not allowed to send: {reason}")
        form, images = _form(request)
        for field in ("from", "to", "reply_to"):
            value = form.get("h:Reply-To" if field == "reply_to" else field)
            if value is None and field == "reply_to":
                continue
            if value is None:
                return _refusal(400, f"{field} parameter is missing")
            if mailboxes(value) is None:
                return _refusal(400, f"{field} parameter is not a valid address. please check documentation")
        if not form.get("text") and not form.get("html"):
            return _refusal(400, "Need at least one of 'text' or 'html' parameters specified")
        work()
        id_ = f"{datetime.now(UTC):%Y%m%d%H%M%S}.{uuid4().hex[:16]}@{domain}"
        mail = captured_mail(
            self.name,
            {name.removeprefix("v:"): value for name, value in form.items() if name.startswith("v:")},
            id_=id_,
            from_=form["from"],
            to=form["to"],
            reply_to=form.get("h:Reply-To", ""),
            subject=form.get("subject", ""),
            text=form.get("text", ""),
            html=form.get("html", ""),
            headers={name.removeprefix("h:"): value for name, value in form.items() if name.startswith("h:")},
            images=images,
        )
        self.suppressed.learn(mail)
        return json_reply(200, {"id": f"<{id_}>", "message": "Queued. Thank you."}, mail)

    def _domain(self, request: Request, name: str) -> Reply:
        expected = b64encode(f"api:{self.api_key}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return self.error(401)
        if name == UNKNOWN:
            return _refusal(404, "Domain not found")
        state = "unverified" if name == UNVERIFIED else "active"
        return json_reply(200, {"domain": {"name": name, "state": state, "type": "custom"}})

    def _suppressions(self, request: Request, below: str) -> Reply:
        """Answer for one list: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces"""
        expected = b64encode(f"api:{self.api_key}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return self.error(401)
        url = urlsplit(below)
        name, _, address = unquote(url.path).partition("/")
        entries = [entry for entry in self.suppressed.all() if entry.cause is SUPPRESSIONS[name]]
        if address:
            entry = next((entry for entry in entries if entry.address == address.lower()), None)
            if entry is None:
                return _refusal(404, f"Address not found in {name} table")
            if request.method == "DELETE":
                self.suppressed.remove(address)
                return json_reply(200, {"message": "The address has been removed", "address": address})
            return json_reply(200, _suppression(entry))
        query = dict(parse_qsl(url.query))
        start = next((number for number, entry in enumerate(entries, 1) if entry.address == query.get("address")), 0)
        page = entries[start : start + int(query.get("limit", "100"))]
        last = page[-1].address if page else ""
        following = f"https://api.mailgun.net/v3/example.com/{name}?page=next&address={quote(last)}&limit=100"
        return json_reply(200, {"items": list(map(_suppression, page)), "paging": {"next": following}})

    def error(self, status: int) -> Reply:
        if status == 401:
            return Reply(401, b"Forbidden", {"content-type": "text/plain"})
        return _refusal(status, MESSAGES.get(status, "This error was requested from the sandbox."))

    def throttled(self, rate: RateLimit) -> Reply:
        """Put the time to wait into the message: seconds for a rate, a date for an hourly limit."""
        if rate.reset < 3600:
            reason = f"account-requests-per-sec limit exceeded, try again after {int(rate.reset) + 1} seconds"
        else:
            until = datetime.fromtimestamp(time.time() + rate.reset, UTC)
            reason = f"recipient limit exceeded, try again after {until:%a, %d %b %Y %H:%M:%S} UTC"
        return _refusal(429, f"Domain example.com is not allowed to send: {reason}")

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


def _suppression(entry: SuppressedAddress) -> dict[str, str]:
    created = f"{datetime.fromtimestamp(entry.at, UTC):%a, %d %b %Y %H:%M:%S} UTC"
    return {"address": entry.address, "code": "550", "error": "No such mailbox", "created_at": created}


def _refusal(status: int, message: str) -> Reply:
    return json_reply(status, {"message": message})


def _form(request: Request) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields, and the inline pictures as data URLs: the name of a file is its content id."""
    if request.headers.get_content_type() != "multipart/form-data":
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True)), {}
    content_type = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n"
    form, images = {}, {}
    for part in message_from_bytes(content_type.encode() + request.body).walk():
        name, value = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if name == "inline" and isinstance(value, bytes):
            images[part.get_filename("")] = f"data:{part.get_content_type()};base64,{b64encode(value).decode()}"
        elif isinstance(name, str) and isinstance(value, bytes):
            form[name] = value.decode()
    return form, images


STUB = Mailgun
