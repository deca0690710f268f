"""A stub of Resend: https://resend.com/docs/api-reference/emails/send-email"""

import hashlib
import math
import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.provider import (
    UNVERIFIED,
    RateLimit,
    Reply,
    Request,
    captured_mail,
    data_url,
    json_reply,
    mailboxes,
)
from mailroom_ops.sandbox.resend_domains import Domains
from mailroom_ops.sandbox.resend_suppressions import answer_suppressions
from mailroom_ops.sandbox.suppressed import SuppressedAddresses

__all__ = ["STUB", "Resend"]

SENDING_ONLY = "_sending"  # the end of a key with sending access only
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
NAMES = {401: "missing_api_key", 403: "invalid_api_key", 404: "not_found", 405: "method_not_allowed",
         409: "resource_locked", 422: "validation_error", 429: "rate_limit_exceeded", 500: "application_error",
         503: "service_unavailable"}  # fmt: skip


class Resend:
    """Accepts single mails and batches; remembers idempotency keys as long as the sandbox runs."""

    name = "resend"

    def __init__(self, api_key: str = "re_sandbox") -> None:
        self.api_key = api_key
        self.suppressed = SuppressedAddresses()
        self.domains = Domains()
        self._requests: dict[str, tuple[str, Reply | None]] = {}
        self._lock = threading.Lock()

    def settings(self, url: str) -> dict[str, str]:
        return {"api_key": self.api_key, "endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if request.path.partition("?")[0].startswith("/domains"):
            return self._unauthorized(request) or self._sending_only(request) or self.domains.answer(request)
        if request.path.partition("?")[0].startswith("/suppressions"):
            refusal = self._unauthorized(request) or self._sending_only(request)
            return refusal or answer_suppressions(self.suppressed, request)
        if request.path not in ("/emails", "/emails/batch"):
            return self.error(404)
        if request.method != "POST":
            return self.error(405)
        if (refusal := self._unauthorized(request)) is not None:
            return refusal
        mails = self._read(request)
        if isinstance(mails, Reply):
            return mails
        for mail in mails:
            self.suppressed.learn(mail)
        ids = [{"id": mail.id} for mail in mails]
        accepted = json_reply(200, {"data": ids} if request.path == "/emails/batch" else ids[0], *mails)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            work()
            return accepted
        if not 1 <= len(key) <= 256:
            return _refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        return self._once(key, request, accepted, work)

    def _once(self, key: str, request: Request, accepted: Reply, work: Callable[[], None]) -> Reply:
        digest = hashlib.sha256(request.path.encode() + request.body).hexdigest()
        with self._lock:
            first_digest, reply = self._requests.get(key, (digest, None))
            if digest != first_digest:
                return _refusal(
                    409,
                    "invalid_idempotent_request",
                    "This idempotency key has been used on a request with a different payload.",
                )
            if reply is not None:
                return Reply(reply.status, reply.body, reply.headers)
            if key in self._requests:
                return _refusal(
                    409,
                    "concurrent_idempotent_requests",
                    "Another request with the same idempotency key is currently in progress.",
                )
            self._requests[key] = (digest, None)
        work()
        with self._lock:
            self._requests[key] = (digest, accepted)
        return accepted

    def _unauthorized(self, request: Request) -> Reply | None:
        authorization = request.headers.get("Authorization", "")
        if not authorization:
            return _refusal(401, "missing_api_key", "Missing API Key")
        valid = (f"Bearer {self.api_key}", f"Bearer {self.api_key}{SENDING_ONLY}")
        return None if authorization in valid else _refusal(403, "invalid_api_key", "API key is invalid")

    def _sending_only(self, request: Request) -> Reply | None:
        if not request.headers.get("Authorization", "").endswith(SENDING_ONLY):
            return None
        return _refusal(401, "restricted_api_key", "This API key is restricted to only send emails")

    def _read(self, request: Request) -> list[Captured] | Reply:
        body = request.json()
        batch = request.path == "/emails/batch"
        items = body if batch else [body]
        if not isinstance(items, list) or not 1 <= len(items) <= 100:
            return _refusal(422, "validation_error", "A batch holds between 1 and 100 emails.")
        if batch and any(isinstance(item, dict) and item.get("attachments") for item in items):
            return _refusal(422, "validation_error", "Attachments are not supported in batch requests.")
        mails = []
        for item in items:
            mail = _mail(item)
            if isinstance(mail, Reply):
                return mail
            mails.append(mail)
        return mails

    def error(self, status: int) -> Reply:
        return _refusal(status, NAMES.get(status, "application_error"), "This error was requested from the sandbox.")

    def throttled(self, rate: RateLimit) -> Reply:
        message = f"Too many requests. You can only make {rate.limit} requests per second."
        headers = {**self.rate_headers(rate), "retry-after": str(math.ceil(rate.reset))}
        return json_reply(429, {"statusCode": 429, "name": "rate_limit_exceeded", "message": message}, headers=headers)

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {
            "ratelimit-limit": str(rate.limit),
            "ratelimit-remaining": str(rate.remaining),
            "ratelimit-reset": str(math.ceil(rate.reset)),
        }


def _refusal(status: int, name: str, message: str) -> Reply:
    return json_reply(status, {"statusCode": status, "name": name, "message": message})


def _mail(item: Any) -> Captured | Reply:
    if not isinstance(item, dict):
        return _refusal(422, "validation_error", "The body is not an email.")
    missing = [field for field in ("from", "to", "subject") if not item.get(field)]
    if not item.get("html") and not item.get("text"):
        missing.append("html` or `text")
    if missing:
        return _refusal(422, "missing_required_field", f"Missing `{missing[0]}` field.")
    recipients = item["to"] if isinstance(item["to"], list) else [item["to"]]
    replies = item.get("reply_to") or []
    replies = replies if isinstance(replies, list) else [replies]
    for field, values in (("from", [item["from"]]), ("to", recipients), ("reply_to", replies)):
        if len(values) > 50 or not all(_is_mailbox(value) for value in values):
            form = "`email@example.com` or `Name <email@example.com>`"
            return _refusal(422, "validation_error", f"Invalid `{field}` field. The address needs the {form} format.")
    tags = item.get("tags", [])
    if not isinstance(tags, list) or not all(_is_tag(tag) for tag in tags):
        message = "Tags should only contain ASCII letters, numbers, underscores, or dashes."
        return _refusal(422, "validation_error", message)
    headers = item.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        return _refusal(422, "validation_error", "Invalid `headers` field.")
    files = item.get("attachments", [])
    images = {file["content_id"]: data_url(file["content_type"], file["content"]) for file in files}
    if not all(images.values()):
        return _refusal(422, "invalid_attachment", "Invalid `attachments` field.")
    if str(item["from"]).rstrip("> ").endswith(f"@{UNVERIFIED}"):
        message = (
            f"The {UNVERIFIED} domain is not verified. Please, add and verify your domain on https://resend.com/domains"
        )
        return _refusal(403, "validation_error", message)
    return captured_mail(
        Resend.name,
        {tag["name"]: tag["value"] for tag in tags},
        id_=str(uuid.uuid4()),
        from_=item["from"],
        to=", ".join(recipients),
        reply_to=", ".join(replies),
        subject=str(item["subject"]),
        text=item.get("text") or "",
        html=item.get("html") or "",
        headers=headers,
        images={cid: url for cid, url in images.items() if url},
    )


def _is_mailbox(value: Any) -> bool:
    pairs = mailboxes(value)
    return pairs is not None and len(pairs) == 1 and pairs[0][1].isascii()


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, dict) and all(TAG.fullmatch(str(tag.get(part, ""))) for part in ("name", "value"))


STUB = Resend
