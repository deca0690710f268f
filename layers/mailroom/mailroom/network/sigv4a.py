"""AWS's Signature Version 4A, which is valid in several regions: SES's multi-region endpoints accept no other.

The secret key of the credentials becomes a key of P-256, by the counter mode of NIST SP 800-108.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
from collections.abc import Mapping

from mailroom.network import p256
from mailroom.network.sigv4 import Credentials, authorized, date_headers, string_to_sign

__all__ = ["private_key", "sign"]

ALGORITHM = "AWS4-ECDSA-P256-SHA256"


def sign(
    headers: Mapping[str, str],
    body: bytes,
    service: str,
    credentials: Credentials,
    now: float,
    path: str = "/",
    regions: str = "*",
) -> dict[str, str]:
    """Return `headers` with a signature added, for a POST of `body` to a `path` that needs no percent-encoding."""
    to_sign = {**headers, **date_headers(credentials, now), "x-amz-region-set": regions}
    scope = f"{to_sign['x-amz-date'][:8]}/{service}/aws4_request"
    text = string_to_sign(ALGORITHM, to_sign, body, scope, path)
    signature = p256.sign(private_key(credentials), text.encode())
    return authorized(ALGORITHM, to_sign, scope, credentials, signature.hex())


def private_key(credentials: Credentials) -> int:
    """Return the key of P-256 that belongs to credentials. The second candidate is used once in 2^32 times."""
    secret = f"AWS4A{credentials.secret}".encode()
    context = f"{ALGORITHM}\0{credentials.key}".encode()
    length = (256).to_bytes(4)
    counter = 1
    while True:
        candidate = hmac.digest(secret, (1).to_bytes(4) + context + counter.to_bytes(1) + length, "sha256")
        if (number := int.from_bytes(candidate)) <= p256.ORDER - 2:
            return number + 1
        counter += 1
