"""Signatures of https://www.standardwebhooks.com, which Svix, Resend, Clerk and Supabase use as well."""

import hashlib
import hmac
from collections.abc import Sequence

from mailroom.errors import ConfigurationError
from mailroom.request import Request
from mailroom.webhooks.authentication import Unauthenticated, decode_base64, equals_any, require_fresh

__all__ = ["require_signature"]

PREFIXES = ("webhook", "svix")  # of the three headers: the standard's, and Svix's older one
VERSION = "v1"  # HMAC-SHA256


def require_signature(request: Request, secrets: Sequence[str], name: str) -> str:
    """Refuse a request that none of the secrets, which are those of the setting `name`, has signed; return its id.

    Signatures of another version are ignored, as the standard requires. It joins several by a space, Supabase by a
    comma and a space (auth@bc32168e, 2026-11).
    """
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}-id" in request.headers), PREFIXES[0])
    id_, timestamp, header = (request.headers.get(f"{prefix}-{part}", "") for part in ("id", "timestamp", "signature"))
    require_fresh(timestamp, request.received_at)
    signed = f"{id_}.{timestamp}.".encode("utf-8", "surrogatepass") + request.body
    expected = [hmac.digest(key, signed, hashlib.sha256) for secret in secrets for key in _keys(secret, name)]
    items = (item.removesuffix(",").partition(",") for item in header.split())
    presented = [decode_base64(value) for version, _, value in items if version == VERSION]
    if not id_ or not sum([equals_any(signature, expected) for signature in presented]):
        raise Unauthenticated("no signature matches")
    return id_


def _keys(secret: str, name: str) -> list[bytes]:
    """Return the keys of a secret: `whsec_…`, or Supabase's form of one or more, `v1,whsec_…|v1,whsec_…`."""
    parts = [part.strip().removeprefix(f"{VERSION},").removeprefix("whsec_") for part in secret.split("|")]
    keys = [decode_base64(part) for part in parts]
    if not all(keys):
        problem = "must be a signing secret such as whsec_…, one a line"
        raise ConfigurationError("settings", "malformed", f"{name} {problem}")
    return keys
