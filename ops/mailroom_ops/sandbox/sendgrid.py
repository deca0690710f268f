"""A stub of SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""

import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mailroom.feedback.suppression import Cause
from mailroom_ops.sandbox.provider import (
    UNVERIFIED,
    RateLimit,
    Reply,
    Request,
    captured_mail,
    data_url,
    format_mailbox,
    json_reply,
    mailboxes,
)
from mailroom_ops.sandbox.suppressed import SuppressedAddress, SuppressedAddresses

__all__ = ["STUB", "SendGrid"]

SUPPRESSIONS = {
    "bounces": Cause.BOUNCE,
    "invalid_emails": None,
    "spam_reports": Cause.COMPLAINT,
    "unsubscribes": Cause.UNSUBSCRIBE,
}
MESSAGES = {
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    413: "The JSON payload you have included in your request is too large.",
    429: "too many requests",
}
RESERVED = {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to",
            "from", "subject", "reply-to", "cc", "bcc"}  # fmt: skip


class SendGrid:
    """Accepts one mail per request, with a 202 without a body; not idempotent."""

    name = "sendgrid"

    def __init__(self, api_key: str = "SG.sandbox") -> None:
        self.api_key = api_key
        self.suppressed = SuppressedAddresses()

    def settings(self, url: str) -> dict[str, str]:
        return {"api_key": self.api_key, "endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if request.path == "/v3/scopes" and request.method == "GET":
            is_authorized = request.headers.get("Authorization") == f"Bearer {self.api_key}"
            return json_reply(200, {"scopes": ["mail.send"]}) if is_authorized else self.error(401)
        if request.path.startswith(("/v3/suppression/", "/v3/asm/suppressions/global/")):
            is_authorized = request.headers.get("Authorization") == f"Bearer {self.api_key}"
            return self._suppressions(request) if is_authorized else self.error(401)
        if request.path != "/v3/mail/send":
            return self.error(404)
        if request.method != "POST":
            return self.error(405)
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return self.error(401)
        body = request.json()
        if not isinstance(body, dict):
            return _refusal(400, "Bad Request")
        if (problem := _problem(body)) is not None:
            return problem
        images = {
            file["content_id"]: data_url(file["type"], file["content"])
            for file in body.get("attachments", [])
            if file["disposition"] == "inline"
        }
        if not all(images.values()):
            return _refusal(400, "The attachment content must be base64 encoded.", "attachments.0.content")
        work()
        id_ = secrets.token_urlsafe(16)
        parts = {part["type"]: part["value"] for part in body["content"]}
        mail = captured_mail(
            self.name,
            body.get("custom_args", {}),
            id_=id_,
            from_=_format_mailbox(body["from"]),
            to=_format_mailbox(body["personalizations"][0]["to"][0]),
            reply_to=_format_mailbox(body["reply_to"]) if "reply_to" in body else "",
            subject=body["subject"],
            text=parts.get("text/plain", ""),
            html=parts.get("text/html", ""),
            headers=body.get("headers", {}),
            images={cid: url for cid, url in images.items() if url},
        )
        self.suppressed.learn(mail)
        return Reply(202, b"", {"X-Message-Id": id_}, (mail,))

    def _suppressions(self, request: Request) -> Reply:
        """Answer for one list: https://www.twilio.com/docs/sendgrid/api-reference/bounces-api"""
        url = urlsplit(request.path)
        name, *address = [unquote(part) for part in url.path.split("/")[3:]]
        if name == "suppressions":
            name, address = "unsubscribes", address[1:]
        if name not in SUPPRESSIONS:
            return self.error(404)
        entries = [entry for entry in self.suppressed.all() if entry.cause is SUPPRESSIONS[name]]
        if address:
            entries = [entry for entry in entries if entry.address == address[0].lower()]
        if request.method == "DELETE" and address:
            for entry in entries:
                self.suppressed.remove(entry.address)
            return Reply(204) if entries else self.error(404)
        if request.method != "GET":
            return self.error(405)
        if address and name == "unsubscribes":
            return json_reply(200, {"recipient_email": entries[0].address} if entries else {})
        query = {key: int(values[-1]) for key, values in parse_qs(url.query).items()}
        start = query.get("offset", 0)
        return json_reply(200, list(map(_suppression, entries[start : start + query.get("limit", 500)])))

    def error(self, status: int) -> Reply:
        return _refusal(status, MESSAGES.get(status, "This error was requested from the sandbox."))

    def throttled(self, rate: RateLimit) -> Reply:
        refusal = self.error(429)
        return Reply(429, refusal.body, {**refusal.headers, **self.rate_headers(rate)})

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(rate.limit),
            "X-RateLimit-Remaining": str(rate.remaining),
            "X-RateLimit-Reset": str(int(time.time() + rate.reset) + 1),
        }


def _suppression(entry: SuppressedAddress) -> dict[str, Any]:
    return {"created": int(entry.at), "email": entry.address, "reason": "550 5.1.1 no such user", "status": "5.1.1"}


def _refusal(status: int, message: str, field: str | None = None) -> Reply:
    return json_reply(status, {"errors": [{"message": message, "field": field, "help": None}]})


def _problem(body: dict[str, Any]) -> Reply | None:
    """Return SendGrid's error for an invalid body; None for a valid one."""
    if not _is_mailbox(body.get("from")):
        return _refusal(400, "The from object must be provided for every email send.", "from")
    if body["from"]["email"].endswith(f"@{UNVERIFIED}"):
        message = (
            "The from address does not match a verified Sender Identity. Mail cannot be sent until this is resolved."
        )
        return _refusal(403, message, "from")
    personalizations = body.get("personalizations")
    if not isinstance(personalizations, list) or not personalizations:
        return _refusal(
            400, "The personalizations field is required and must have at least one item.", "personalizations"
        )
    for index, recipient in enumerate(personalizations[0].get("to") or [None]):
        if not _is_mailbox(recipient):
            field = f"personalizations.0.to.{index}.email"
            return _refusal(400, "Does not contain a valid address.", field)
    if "reply_to" in body and not _is_mailbox(body["reply_to"]):
        return _refusal(400, "The reply_to email does not contain a valid address.", "reply_to")
    if not body.get("subject"):
        return _refusal(400, "The subject is required.", "subject")
    types = [part.get("type") for part in body.get("content") or [] if part.get("value")]
    if not types or len(types) != len(body["content"]) or types != sorted(types, reverse=True):
        return _refusal(400, "The content must be one non-empty text/plain part, then one text/html part.", "content")
    if RESERVED & {name.lower() for name in body.get("headers", {})}:
        return _refusal(400, "A reserved header was used.", "headers")
    args = body.get("custom_args", {})
    if not isinstance(args, dict) or not all(isinstance(value, str) for value in args.values()):
        return _refusal(400, "Bad Request")
    return None


def _is_mailbox(value: Any) -> bool:
    return isinstance(value, dict) and mailboxes(value.get("email")) is not None


def _format_mailbox(mailbox: dict[str, str]) -> str:
    return format_mailbox(mailbox.get("name", ""), mailbox["email"])


STUB = SendGrid
