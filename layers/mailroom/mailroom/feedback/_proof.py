"""What proves that a report comes from who it says, for the providers beside it. Whatever is wrong with it is a 401."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from mailroom.errors import ConfigurationError, RequestError
from mailroom.request import Request

__all__ = ["is_one_of", "require_fresh", "require_shared_secret", "require_standard_webhook", "unbase64", "unproven"]

TOLERANCE = 300.0  # seconds, either way
SECONDS = re.compile(r"[0-9]{1,12}")


def unproven(why: str) -> RequestError:
    return RequestError(401, f"This report is not proven: {why}.")


def require_fresh(timestamp: str, now: float) -> None:
    """Refuse what was signed too long ago, or will have been."""
    if not SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE:
        raise unproven("its time is missing, malformed, or too far from now")


def is_one_of(given: bytes, accepted: Iterable[bytes]) -> bool:
    """Compare with each, always: the time must not tell which came close."""
    return sum([hmac.compare_digest(given, value) for value in accepted]) > 0


def require_standard_webhook(request: Request, secrets: Sequence[str], name: str, prefix: str) -> str:
    """Refuse what none of the secrets has signed after https://www.standardwebhooks.com; return the message's id.

    An item of the signature header that is none is passed over, as the standard asks: later versions may add some.
    """
    id_, timestamp, signatures = (
        request.headers.get(f"{prefix}-{part}", "") for part in ("id", "timestamp", "signature")
    )
    require_fresh(timestamp, request.received_at)
    signed = f"{id_}.{timestamp}.".encode("utf-8", "surrogatepass") + request.body
    expected = [hmac.digest(_key(secret, name), signed, hashlib.sha256) for secret in secrets]
    items = (item.partition(",") for item in signatures.split())
    given = [unbase64(value) for version, _, value in items if version == "v1"]
    if not id_ or not sum([is_one_of(value, expected) for value in given]):
        raise unproven("no signature fits")
    return id_


def _key(secret: str, name: str) -> bytes:
    key = unbase64(secret.removeprefix("whsec_"))
    if not key:
        raise ConfigurationError(
            "settings", "malformed", f"{name} must be a signing secret such as whsec_…, one a line"
        )
    return key


def unbase64(text: str) -> bytes:
    """Decode strictly; what is not base64 is nothing."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def require_shared_secret(request: Request, secrets: Sequence[str], header: str = "x-mailroom-secret") -> None:
    """Refuse who does not know the secret: at the end of the address, as a Basic password, or in a header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    credentials = unbase64(encoded.strip()) if scheme.lower() == "basic" else b""
    shown = [request.path.get("secret", ""), request.headers.get(header, "")]
    given = [text.encode("utf-8", "surrogatepass") for text in shown] + [credentials.partition(b":")[2]]
    accepted = [secret.encode() for secret in secrets]
    if not sum([is_one_of(value, accepted) for value in given]):
        raise unproven("the secret is missing or wrong")
