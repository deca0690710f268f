"""JSON Web Signatures and Tokens (RFC 7515, 7519), verified with keys that are at hand: no request fetches any.

RS256 needs one power of integers, which Python computes as fast as a library and without the time to load one. Only
public values take part, so its duration reveals nothing.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.json_fields import compact_json
from mailroom.request import MAX_BODY_BYTES, parse_json
from mailroom.webhooks.authentication import TOLERANCE_SECONDS, Unauthenticated

__all__ = [
    "JsonWebKeys",
    "MalformedKeys",
    "compact_keys",
    "encode_base64url",
    "require_detached_signature",
    "require_token",
]

KEY_FIELDS = ("kty", "kid", "alg", "use", "n", "e", "crv", "x")
RSA_EXPONENT = 65537
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
# DigestInfo of SHA-256: https://www.rfc-editor.org/rfc/rfc8017#section-9.2
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
ED25519_KEY_BYTES = 32
UNKNOWN_KEY = "it is signed with a key that is not among ours: see `mailroom sources refresh-keys`"
ANY_ED25519_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # of RFC 8032
ANY_RSA_KEY = (1 << MIN_RSA_BITS) - 1  # of no use but that a signature by an unknown key takes as long as any


class MalformedKeys(Exception):
    """A setting is not a JSON Web Key Set; `str()` is what it must be."""


class JsonWebKeys:
    """The public keys of a JSON Web Key Set, by their ids."""

    def __init__(self, keys: Mapping[str, Mapping[str, Any]]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, text: str) -> "JsonWebKeys":
        """Parse a key set; an empty text is a set without keys. Keys that are not for signatures are left out."""
        if not text.strip():
            return cls({})
        try:
            keys = json.loads(text)["keys"]
            by_id = {key["kid"]: key for key in keys if key.get("use", "sig") == "sig"}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise MalformedKeys("must be a JSON Web Key Set, whose keys have a kid") from error
        return cls(by_id)

    def all(self) -> list[Mapping[str, Any]]:
        return list(self._keys.values())

    def require_rs256(self, key_id: Any, signed: bytes, signature: bytes) -> None:
        """Refuse a signature that is not RSASSA-PKCS1-v1_5 with SHA-256 by the key of this id."""
        key = self._keys.get(key_id, {}) if isinstance(key_id, str) else {}
        modulus = int.from_bytes(_bytes_of(key, "n")) if key.get("kty") == "RSA" else 0
        exponent = int.from_bytes(_bytes_of(key, "e")) if modulus else 0
        is_usable = exponent == RSA_EXPONENT and MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS
        used = modulus if is_usable and key.get("alg", "RS256") == "RS256" else ANY_RSA_KEY
        size = (used.bit_length() + 7) // 8
        digest = SHA256_PREFIX + hashlib.sha256(signed).digest()
        expected = b"\x00\x01".ljust(size - len(digest) - 1, b"\xff") + b"\x00" + digest
        number, length = int.from_bytes(signature), len(signature)
        actual = pow(number, RSA_EXPONENT, used).to_bytes(size) if length == size and number < used else b""
        if used == ANY_RSA_KEY:
            raise Unauthenticated(UNKNOWN_KEY)
        if not hmac.compare_digest(actual, expected):
            raise Unauthenticated("the signature does not match")

    def require_eddsa(self, key_id: str, signed: bytes, signature: bytes) -> None:
        """Refuse a signature that is not Ed25519's by the key of this id. It needs the layer `signatures`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = self._keys.get(key_id, {})
        is_usable = key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and key.get("alg", "EdDSA") == "EdDSA"
        point = _bytes_of(key, "x") if is_usable else b""
        is_known = len(point) == ED25519_KEY_BYTES
        try:
            Ed25519PublicKey.from_public_bytes(point if is_known else ANY_ED25519_KEY).verify(signature, signed)
        except InvalidSignature as error:
            raise Unauthenticated("the signature does not match" if is_known else UNKNOWN_KEY) from error
        if not is_known:
            raise Unauthenticated(UNKNOWN_KEY)


def require_detached_signature(signature: str, key_id: str, payload: bytes, keys: JsonWebKeys) -> None:
    """Refuse a compact signature without its payload, `header..signature`, unless it is of EdDSA by the key."""
    header, enclosed, value = _parts(signature)
    fields = _json_object(header)
    if enclosed or fields.get("alg") != "EdDSA" or "crit" in fields:
        raise Unauthenticated("the signature is not a detached one of EdDSA")
    keys.require_eddsa(key_id, f"{header}.{encode_base64url(payload)}".encode(), decode_base64url(value))


def require_token(token: str, keys: JsonWebKeys, now: float) -> dict[str, Any]:
    """Return the claims of a JSON Web Token that one of the keys has signed, by RS256, and that is valid now."""
    header, payload, signature = _parts(token)
    fields = _json_object(header)
    if fields.get("alg") != "RS256" or "crit" in fields:
        raise Unauthenticated("the token has another algorithm than RS256")
    signed = token.rpartition(".")[0].encode()
    keys.require_rs256(fields.get("kid"), signed, decode_base64url(signature))
    claims = _json_object(payload)
    if not _number(claims, "exp", default=0) > now:
        raise Unauthenticated("the token has expired")
    if not max(_number(claims, "nbf", default=0), _number(claims, "iat", default=0)) <= now + TOLERANCE_SECONDS:
        raise Unauthenticated("the token is not valid yet")
    return claims


def compact_keys(text: str) -> str:
    """Return a key set with only the fields that verify a signature: certificates beside them would fill a parameter.

    Raise MalformedKeys where no key is left.
    """
    published = JsonWebKeys.parse(text).all()
    if not published:
        raise MalformedKeys("must be a JSON Web Key Set with at least one key for signatures")
    keys = [{name: value for name, value in fields.items() if name in KEY_FIELDS} for fields in published]
    return compact_json({"keys": keys})


def encode_base64url(value: bytes) -> str:
    """Encode in base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding, strictly; return nothing for any other text."""
    if not text.isascii() or any(char in text for char in "+/="):
        return b""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return decoded if base64.urlsafe_b64encode(decoded).rstrip(b"=") == text.encode() else b""


def _parts(token: str) -> list[str]:
    parts = token.split(".")
    if len(token) > MAX_BODY_BYTES or not token.isascii() or len(parts) != 3:
        raise Unauthenticated("the token is missing or malformed")
    return parts


def _json_object(part: str) -> dict[str, Any]:
    try:
        value = parse_json(decode_base64url(part))
    except RequestError as error:
        raise Unauthenticated("the token is missing or malformed") from error
    if not isinstance(value, dict):
        raise Unauthenticated("the token is missing or malformed")
    return value


def _bytes_of(key: Mapping[str, Any], name: str) -> bytes:
    value = key.get(name)
    return decode_base64url(value) if isinstance(value, str) else b""


def _number(claims: Mapping[str, Any], name: str, *, default: float) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"the claim {name} of the token is not a number")
    return value
