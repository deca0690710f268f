"""Signatures of the requests that we send, by https://www.standardwebhooks.com"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence

__all__ = ["sign", "signed_headers"]


def signed_headers(keys: Sequence[bytes], id_: str, now: float, content: bytes) -> Mapping[str, str]:
    """Return the headers of a request, with a signature by each key: a receiver knows one of them at any time."""
    timestamp = str(int(now))
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(key, id_, timestamp, content) for key in keys),
    }


def sign(key: bytes, id_: str, timestamp: str, content: bytes) -> str:
    """Return the signature of a request, version 1."""
    signed = b".".join((id_.encode(), timestamp.encode(), content))
    return f"v1,{b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
