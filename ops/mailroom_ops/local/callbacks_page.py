"""The callbacks page: a receiver of outcome events for the local stack, which verifies their signatures."""

import base64
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailroom_ops.web.frame import Frame
from mailroom_ops.web.pages import asset
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["FOLDER", "CallbacksPage"]

FOLDER = Path(__file__).with_name("callbacks")  # template and style sheet
MAX_EVENTS = 200
REFRESH_SECONDS = 2
PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as the page shows it."""

    at: datetime
    tenant: str
    id: str
    type: str
    message_id: str
    is_verified: bool
    is_repeated: bool
    body: str


@dataclass
class CallbacksPage:
    """Serves the page, and the endpoint of each tenant. `secrets_of` returns the secrets of a tenant's callback."""

    frame: Frame
    secrets_of: Callable[[str], list[str]]
    _received: deque[Received] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside the page."""
        match request.method, request.path.strip("/").split("/"):
            case "GET" | "HEAD", ["callbacks"]:
                values = {"received": list(self._received)[::-1], "refresh_seconds": REFRESH_SECONDS}
                return self.frame.page("callbacks", values)
            case "GET" | "HEAD", ["callbacks", name]:
                return asset(name, FOLDER) or refusal(404, "Not Found")
            case "POST", ["callbacks", tenant]:
                return self._receive(request, tenant)
            case _, ["callbacks", *_]:
                return refusal(405, "Method Not Allowed")
        return None

    def _receive(self, request: Request, tenant: str) -> Response:
        """Keep an event, and accept it if it is signed: https://www.standardwebhooks.com"""
        headers = dict(request.headers)
        is_verified = any(_is_signed_by(secret, headers, request.body) for secret in self.secrets_of(tenant))
        values = _json_object(request.body)
        id_ = headers.get("webhook-id", "")
        received = Received(
            at=datetime.now(UTC),
            tenant=tenant,
            id=id_,
            type=str(values.get("type", "no JSON")),
            message_id=str(_json_object(json.dumps(values.get("data")).encode()).get("message_id", "")),
            is_verified=is_verified,
            is_repeated=any(earlier.id == id_ for earlier in self._received),
            body=json.dumps(values, indent=2, ensure_ascii=False),
        )
        self._received.append(received)
        return Response(204) if is_verified else refusal(401, "The signature does not match.")


def _is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix(PREFIX)), signed, "sha256")
    expected = f"v1,{base64.b64encode(digest).decode()}"
    return any(hmac.compare_digest(part, expected) for part in headers.get("webhook-signature", "").split())


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
