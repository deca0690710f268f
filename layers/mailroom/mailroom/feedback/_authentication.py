"""The shared secret of providers that do not sign their reports."""

from collections.abc import Sequence

from mailroom.request import Request
from mailroom.webhooks.authentication import Unauthenticated, decode_base64, equals_any

__all__ = ["require_shared_secret"]


def require_shared_secret(request: Request, secrets: Sequence[str], header: str = "x-mailroom-secret") -> None:
    """Refuse a request without the secret: at the end of the path, as a Basic password, or in the header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    credentials = decode_base64(encoded.strip()) if scheme.lower() == "basic" else b""
    texts = [request.path.get("secret", ""), request.headers.get(header, "")]
    presented = [text.encode("utf-8", "surrogatepass") for text in texts] + [credentials.partition(b":")[2]]
    accepted = [secret.encode() for secret in secrets]
    if not sum([equals_any(value, accepted) for value in presented]):
        raise Unauthenticated("the secret is missing or wrong")
