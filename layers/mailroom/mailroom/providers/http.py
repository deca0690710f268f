"""A mail service of your own, docs/providers/http.md: one POST a mail, signed after https://www.standardwebhooks.com"""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import httpx

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Receipt, _client
from mailroom.providers._client import Case

__all__ = ["Http", "sign"]

SHORTEST_SECRET = 24  # bytes, says the standard

# What we ask such a service to answer: docs/providers/http.md. Every other status means what it means anywhere.
ERRORS = (
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
    Case(503, "", "", TemporaryFailure, "maintenance"),
)


class Http:
    """Its contract asks the service to take one webhook-id once, so a try that got no answer may be repeated."""

    name: ClassVar = "http"
    idempotent: ClassVar = True

    def __init__(
        self, url: str, secrets: Sequence[bytes], transport: httpx.BaseTransport, clock: Callable[[], float] = time.time
    ) -> None:
        self._url = httpx.URL(url)
        self._secrets = secrets
        self._transport = transport
        self._clock = clock

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Http":
        secrets = [_decoded(line) for line in values.get("secret", "").split()]
        if not secrets:
            raise _malformed_secret()
        endpoint = _client.endpoint(cls.name, values)
        return cls(endpoint, secrets, _client.shared(endpoint))

    def send(self, email: Email, key: str) -> Receipt:
        content = json.dumps(_wire(email), separators=(",", ":")).encode()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(sign(secret, key, timestamp, content) for secret in self._secrets),
        }
        answer = _client.post(self._transport, self.name, self._url, content, headers)
        said = answer.json()
        if answer.is_success:
            id_ = said.get("id")
            if not isinstance(id_, str) or not id_:
                # A page that answers 200 to everything must not swallow mail.
                raise UnknownOutcome(self.name, "garbage", "its answer has no id: see docs/providers/http.md")
            return Receipt(id_, _client.retry_after(answer.headers) or 0.0)
        message = str(said.get("message") or "")
        wait = _client.retry_after(answer.headers)
        raise _client.problem(self.name, ERRORS, answer.status, "", message, wait)


def sign(secret: bytes, id_: str, timestamp: str, content: bytes) -> str:
    """Sign a request as Standard Webhooks v1 does."""
    said = b".".join((id_.encode(), timestamp.encode(), content))
    return f"v1,{b64encode(hmac.digest(secret, said, hashlib.sha256)).decode()}"


def _wire(email: Email) -> dict[str, Any]:
    data = {
        "from": asdict(email.from_),
        "to": email.to,
        "reply_to": asdict(email.reply_to) if email.reply_to else None,
        "subject": email.subject,
        "text": email.text,
        "html": email.html,
        "headers": dict(email.headers),
        "tags": dict(email.tags),
        "locale": email.locale,
    }
    return {"type": "email.send", "data": data}


def _decoded(secret: str) -> bytes:
    try:
        decoded = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) < SHORTEST_SECRET:
        raise _malformed_secret()
    return decoded


def _malformed_secret() -> ConfigurationError:
    said = f"providers/http/secret must be whsec_ and base64 of {SHORTEST_SECRET} bytes or more; two lines to rotate"
    return ConfigurationError("settings", "malformed", said)
