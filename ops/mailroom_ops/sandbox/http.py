"""A mail service of your own, as docs/providers/http.md describes it."""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from mailroom_ops.sandbox.provider import RateLimit, Reply, Request, captured_mail, format_mailbox, json_reply

__all__ = ["STUB", "Http"]

SECRET = "whsec_" + b64encode(b"a local secret of our sandbox").decode()
MAX_AGE_SECONDS = 300


class Http:
    """Verifies signatures, and accepts each webhook-id once."""

    name = "http"

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = secret
        self._ids: dict[str, str] = {}

    def settings(self, url: str) -> dict[str, str]:
        return {"secret": self.secret, "endpoint": f"{url}/mails"}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if request.path != "/mails":
            return self.error(404)
        if request.method != "POST":
            return self.error(405)
        if not self._is_signed(request):
            return self.error(401)
        body = request.json()
        if not isinstance(body, dict) or body.get("type") != "email.send":
            return json_reply(422, {"message": "not an email.send"})
        data, new = body["data"], str(uuid4())
        # The id is stored before the work, so that concurrent requests with the same id make one mail.
        id_ = self._ids.setdefault(request.headers["webhook-id"], new)
        if id_ != new:
            return json_reply(200, {"id": id_})
        work()
        mail = captured_mail(
            self.name,
            data["tags"],
            id_=id_,
            from_=_format_mailbox(data["from"]),
            to=data["to"],
            reply_to=_format_mailbox(data["reply_to"]),
            subject=data["subject"],
            text=data["text"],
            html=data["html"],
            headers={"Content-Language": data["locale"], **data["headers"]},
            images={
                image["cid"]: f"data:{image['type']};base64,{image['content']}" for image in data.get("images", [])
            },
        )
        return json_reply(200, {"id": id_}, mail)

    def _is_signed(self, request: Request) -> bool:
        id_, timestamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not id_ or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
            return False
        signed = f"{id_}.{timestamp}.".encode() + request.body
        key = b64decode(self.secret.removeprefix("whsec_"))
        expected = "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        signatures = request.headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(expected, signature) for signature in signatures)

    def error(self, status: int) -> Reply:
        return json_reply(status, {"message": "This error was requested from the sandbox."})

    def throttled(self, rate: RateLimit) -> Reply:
        refusal = self.error(429)
        return Reply(429, refusal.body, {**refusal.headers, "Retry-After": str(int(rate.reset) + 1)})

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


def _format_mailbox(mailbox: dict[str, Any] | None) -> str:
    return format_mailbox(mailbox["name"], mailbox["address"]) if mailbox else ""


STUB = Http
