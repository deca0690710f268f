"""Neon Auth's webhooks `send.otp` and `send.magic_link`: https://neon.com/docs/auth/guides/webhooks (beta, 2026-11)

A detached JSON Web Signature, by Ed25519, over the time of the attempt and the body. Neon waits 5 s and makes three
attempts at once after a 5xx, 429 or 408; the event keeps its id and its time. Any 2xx is a success.
"""

from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources.key_sets import key_set
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.authentication import Unauthenticated, require_fresh
from mailroom.webhooks.json_access import get, iso_time, text
from mailroom.webhooks.json_web_signatures import encode_base64url, require_detached_signature

__all__ = ["SOURCE"]

MILLISECOND_DIGITS = 3  # after the seconds of the signed time
KINDS: Mapping[str, str] = {  # by otp_type or link_type
    "sign-in": "sign-in-code",
    "magic-link": "sign-in-code",
    "email-verification": "email-confirmation",
    "forget-password": "password-reset",
}


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request that none of the project's keys has signed within five minutes."""
    timestamp = request.headers.get("x-neon-timestamp", "")
    if len(timestamp) <= MILLISECOND_DIGITS:
        raise Unauthenticated("the signed time is missing or malformed")
    require_fresh(timestamp[:-MILLISECOND_DIGITS], request.received_at)
    payload = f"{timestamp}.{encode_base64url(request.body)}".encode("utf-8", "surrogatepass")
    require_detached_signature(
        request.headers.get("x-neon-signature", ""),
        # The key id in the signature's own header is shortened.
        request.headers.get("x-neon-signature-kid", ""),
        payload,
        key_set(credentials),
    )
    return {}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request; none for an event that asks for no mail."""
    body = verified.json_object()
    event, data = text(body, "event_type"), get(body, "event_data")
    if event == "send.otp":
        content = {"code": text(data, "otp_code")}
        type_ = text(data, "otp_type")
    elif event == "send.magic_link":
        link = get(data, "link_url")
        content, type_ = {"link": link if isinstance(link, str) else ""}, text(data, "link_type")
    else:
        return []
    if text(data, "delivery_preference") == "sms" or not any(content.values()):
        raise RequestError(422, "This is not a mail: it is for SMS, or has neither a code nor a link.")
    name = text(body, "user", "name")
    return [
        verified.message(
            KINDS.get(type_, "generic-code"),
            get(body, "user", "email"),
            {**content, "user": {"id": text(body, "user", "id"), "name": name}},
            key=text(body, "event_id"),
            created_at=iso_time(body, "timestamp", default=0.0) or None,
            expires_at=iso_time(data, "expires_at", default=0.0) or None,
            client_ip=text(data, "ip_address"),
        )
    ]


def _keys_url(settings: Mapping[str, str]) -> str:
    return settings["auth_url"].strip().rstrip("/") + "/.well-known/jwks.json"


SOURCE = Source(
    name="neon",
    required={"keys": "the project's public keys; `mailroom sources refresh-keys` sets them"},
    optional={"auth_url": "the URL of Neon Auth, NEON_AUTH_URL, which publishes the keys"},
    verify=verify,
    parse=parse,
    keys_url=_keys_url,
)
