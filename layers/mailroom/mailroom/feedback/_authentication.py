"""Authentication of provider reports: signatures and shared secrets. Every failure is a 401 with one sentence."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from mailroom.errors import ConfigurationError, RequestError
from mailroom.request import Request

__all__ = [
    "TOLERANCE_SECONDS",
    "Unauthenticated",
    "decode_base64",
    "equals_any",
    "require_fresh",
    "require_shared_secret",
    "require_standard_webhook",
]

TOLERANCE_SECONDS = 300.0  # between the signed time and ours, either way
UNIX_TIME = re.compile(r"[0-9]{1,12}")


class Unauthenticated(RequestError):
    """A report that is not proven to be the provider's. The answer is always the same; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(401, "This report could not be authenticated.", reason=reason)


def require_fresh(timestamp: str, now: float) -> None:
    """Refuse a signed time that is malformed or more than five minutes from now."""
    if not UNIX_TIME.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Unauthenticated("the signed time is missing, malformed, or more than five minutes off")


def equals_any(presented: bytes, accepted: Iterable[bytes]) -> bool:
    """Compare with every accepted value, always: the time taken must not show which one was close."""
    return sum([hmac.compare_digest(presented, value) for value in accepted]) > 0


def require_standard_webhook(request: Request, secrets: Sequence[str], name: str, prefix: str) -> str:
    """Refuse a request that none of the secrets signed as https://www.standardwebhooks.com; return its message id.

    Items of the signature header with another version than `v1` are ignored, as the standard requires.
    """
    id_, timestamp, signatures = (
        request.headers.get(f"{prefix}-{part}", "") for part in ("id", "timestamp", "signature")
    )
    require_fresh(timestamp, request.received_at)
    signed = f"{id_}.{timestamp}.".encode("utf-8", "surrogatepass") + request.body
    expected = [hmac.digest(_key(secret, name), signed, hashlib.sha256) for secret in secrets]
    items = (item.partition(",") for item in signatures.split())
    presented = [decode_base64(value) for version, _, value in items if version == "v1"]
    if not id_ or not sum([equals_any(signature, expected) for signature in presented]):
        raise Unauthenticated("no signature matches")
    return id_


def _key(secret: str, name: str) -> bytes:
    key = decode_base64(secret.removeprefix("whsec_"))
    if not key:
        raise ConfigurationError(
            "settings", "malformed", f"{name} must be a signing secret such as whsec_…, one a line"
        )
    return key


def decode_base64(text: str) -> bytes:
    """Decode strictly; return nothing for text that is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def require_shared_secret(request: Request, secrets: Sequence[str], header: str = "x-mailroom-secret") -> None:
    """Refuse a request without the secret: at the end of the path, as a Basic password, or in the header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    credentials = decode_base64(encoded.strip()) if scheme.lower() == "basic" else b""
    texts = [request.path.get("secret", ""), request.headers.get(header, "")]
    presented = [text.encode("utf-8", "surrogatepass") for text in texts] + [credentials.partition(b":")[2]]
    accepted = [secret.encode() for secret in secrets]
    if not sum([equals_any(value, accepted) for value in presented]):
        raise Unauthenticated("the secret is missing or wrong")
