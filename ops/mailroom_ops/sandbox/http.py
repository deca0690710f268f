"""A mail service of one's own, as docs/providers/http.md asks for it."""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from mailroom_ops.sandbox.provider import Pace, Reply, Request, captured, json_reply, written

__all__ = ["Http"]

SECRET = "whsec_" + b64encode(b"a local secret of our sandbox").decode()
TOLERANCE = 300  # seconds


class Http:
    """Verifies who asks, and takes one webhook-id once."""

    name = "http"

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = secret
        self._taken: dict[str, str] = {}

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
        # The id is taken before the work begins, so that the same one at the same time is one mail too.
        id_ = self._taken.setdefault(request.headers["webhook-id"], new)
        if id_ != new:
            return json_reply(200, {"id": id_})
        work()
        mail = captured(
            self.name,
            data["tags"],
            id_=id_,
            from_=_written(data["from"]),
            to=data["to"],
            reply_to=_written(data["reply_to"]),
            subject=data["subject"],
            text=data["text"],
            html=data["html"],
            headers={"Content-Language": data["locale"], **data["headers"]},
        )
        return json_reply(200, {"id": id_}, mail)

    def _is_signed(self, request: Request) -> bool:
        id_, timestamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not id_ or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
            return False
        said = f"{id_}.{timestamp}.".encode() + request.body
        key = b64decode(self.secret.removeprefix("whsec_"))
        expected = "v1," + b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
        given = request.headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(expected, signature) for signature in given)

    def error(self, status: int) -> Reply:
        return json_reply(status, {"message": "The sandbox was asked to say this."})

    def throttled(self, pace: Pace) -> Reply:
        refusal = self.error(429)
        return Reply(429, refusal.body, {**refusal.headers, "Retry-After": str(int(pace.reset) + 1)})

    def rate_headers(self, pace: Pace) -> dict[str, str]:
        return {}


def _written(mailbox: dict[str, Any] | None) -> str:
    return written(mailbox["name"], mailbox["address"]) if mailbox else ""
