"""Secrets that a tenant sets for its callers. The form of a line determines how a caller authenticates by it:

whsec_…                   a signature of Standard Webhooks or Svix
zitadel:…                 a Zitadel-Signature with this key
X-Api-Key: …              a header with this value
Basic user:password       HTTP Basic
Bearer …, or anything     the value of the Authorization header
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from mailroom.request import Request
from mailroom.webhooks.authentication import UNGUESSABLE, Unauthenticated, equals_any, require_fresh
from mailroom.webhooks.standard_webhooks import require_signature

__all__ = ["require_caller_secret"]

SIGNING_SECRET, ZITADEL_KEY = "whsec_", "zitadel:"
HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): *(.+)")
BASIC = re.compile(r"Basic ([^:]+:.*)")
HEX = re.compile(r"[0-9a-fA-F]{64}")


def require_caller_secret(request: Request, lines: Sequence[str], name: str) -> str:
    """Refuse a request that proves none of the secrets in the setting `name`; return the id that was signed, if any."""
    signing = [line for line in lines if line.startswith(SIGNING_SECRET)]
    zitadel = [line.removeprefix(ZITADEL_KEY) for line in lines if line.startswith(ZITADEL_KEY)]
    others = [line for line in lines if not line.startswith((SIGNING_SECRET, ZITADEL_KEY))]
    has_secret = sum([_has_header(request, line) for line in others or [UNGUESSABLE]]) > 0
    has_signature = _has_zitadel_signature(request, zitadel or [UNGUESSABLE])
    try:
        return require_signature(request, signing or [UNGUESSABLE], name)
    except Unauthenticated:
        if not (has_secret or has_signature):
            raise Unauthenticated("neither a secret nor a signature matches") from None
    return ""


def _has_header(request: Request, line: str) -> bool:
    name, value = "authorization", line
    if match := BASIC.fullmatch(line):
        value = f"Basic {base64.b64encode(match[1].encode()).decode()}"
    elif match := HEADER.fullmatch(line):
        name, value = match[1].lower(), match[2]
    presented = request.headers.get(name, "").encode("utf-8", "surrogatepass")
    return equals_any(presented, [value.encode()])


def _has_zitadel_signature(request: Request, keys: Sequence[str]) -> bool:
    """Test for `t=…,v1=…` with the HMAC of time, dot and body (zitadel@0e7a14e5, pkg/actions/signing.go, 2026-11).

    The key is used as its own bytes. As in Zitadel, other parts are ignored, and a part that is no pair is an error.
    """
    pairs = [part.partition("=") for part in request.headers.get("zitadel-signature", "").split(",")]
    timestamp = next((value for name, _, value in pairs if name == "t"), "")
    signatures = [bytes.fromhex(value) for name, _, value in pairs if name == "v1" and HEX.fullmatch(value)]
    signed = f"{timestamp}.".encode("utf-8", "surrogatepass") + request.body
    expected = [hmac.digest(key.encode(), signed, hashlib.sha256) for key in keys]
    is_equal = sum([equals_any(signature, expected) for signature in signatures]) > 0
    try:
        require_fresh(timestamp, request.received_at)
    except Unauthenticated:
        return False
    return is_equal and all(separator for _, separator, _ in pairs)
