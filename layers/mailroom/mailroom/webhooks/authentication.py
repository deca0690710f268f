"""Checks that authenticate a request. Every failure is the same 401; its reason is for the log alone."""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable

from mailroom.errors import RequestError

__all__ = ["TOLERANCE_SECONDS", "UNGUESSABLE", "Unauthenticated", "decode_base64", "equals_any", "require_fresh"]

# Compared with what a caller presents where there is no secret: the answer takes the same work. Also valid as base64.
UNGUESSABLE = base64.b64encode(secrets.token_bytes(32)).decode()
TOLERANCE_SECONDS = 300.0  # between the signed time and ours, either way
UNIX_TIME = re.compile(r"[0-9]{1,12}")


class Unauthenticated(RequestError):
    """A request that is not proven to come from its sender; `reason` is for the log."""

    def __init__(self, reason: str, sentence: str = "This request could not be authenticated.") -> None:
        super().__init__(401, sentence, reason=reason)


def require_fresh(timestamp: str, now: float) -> None:
    """Refuse a signed time, in Unix seconds, that is malformed or more than five minutes from now."""
    if not UNIX_TIME.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Unauthenticated("the signed time is missing, malformed, or more than five minutes off")


def equals_any(presented: bytes, accepted: Iterable[bytes]) -> bool:
    """Compare with every accepted value, always: the time taken must not show which one was close."""
    return sum([hmac.compare_digest(presented, value) for value in accepted]) > 0


def decode_base64(text: str) -> bytes:
    """Decode strictly; return nothing for text that is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
