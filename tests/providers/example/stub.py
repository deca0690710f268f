"""A stub of Acme Mail, a made-up provider: https://docs.acme.example/send"""

import secrets
from collections.abc import Callable

from mailroom_ops.sandbox.provider import UNVERIFIED, RateLimit, Reply, Request, captured_mail, json_reply

__all__ = ["STUB", "Acme"]


class Acme:
    """Accepts one mail per request; not idempotent."""

    name = "acme"

    def __init__(self, api_key: str = "acme-sandbox") -> None:
        self.api_key = api_key

    def settings(self, url: str) -> dict[str, str]:
        return {"api_key": self.api_key, "endpoint": url}

    def answer(self, request: Request, work: Callable[[], None]) -> Reply:
        if (request.method, request.path) != ("POST", "/send"):
            return self.error(404)
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return self.error(401)
        body = request.json()
        if f"@{UNVERIFIED}" in body["from"]:
            return json_reply(403, {"error": f"The domain {UNVERIFIED} is not verified."})
        work()
        id_ = secrets.token_hex(8)
        fields = {name: body[name] for name in ("to", "reply_to", "subject", "text", "html", "headers")}
        mail = captured_mail(self.name, body["metadata"], id_=id_, from_=body["from"], **fields)
        return json_reply(200, {"id": id_}, mail)

    def error(self, status: int) -> Reply:
        return json_reply(status, {"error": "This error was requested from the sandbox."})

    def throttled(self, rate: RateLimit) -> Reply:
        return json_reply(429, {"error": "Too many requests."}, headers={"retry-after": str(int(rate.reset) + 1)})

    def rate_headers(self, rate: RateLimit) -> dict[str, str]:
        return {}


STUB = Acme
