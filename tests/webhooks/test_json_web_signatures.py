"""JSON Web Tokens: made and judged by PyJWT and cryptography, then changed as a forger might."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from mailroom.errors import RequestError
from mailroom.webhooks.authentication import Unauthenticated
from mailroom.webhooks.json_web_signatures import JsonWebKeys, MalformedKeys, compact_keys, require_token

NOW = 1_800_000_000
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
SMALL_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
CLAIMS = {"sub": "ada", "iat": NOW, "exp": NOW + 300}


def web_key(key: rsa.RSAPrivateKey, key_id: str = "one", **changes: Any) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "n": public["n"], "e": public["e"], "kid": key_id, "use": "sig", **changes}


def key_set(*keys: Mapping[str, Any]) -> JsonWebKeys:
    return JsonWebKeys.parse(json.dumps({"keys": list(keys)}))


KEYS = key_set(web_key(KEY))


def token(
    claims: Mapping[str, Any] = CLAIMS, key: Any = KEY, algorithm: str | None = "RS256", key_id: str = "one"
) -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={"kid": key_id})


def is_refused(value: str, keys: JsonWebKeys = KEYS, now: float = NOW) -> bool:
    try:
        require_token(value, keys, now)
    except Unauthenticated as error:
        return (error.status, error.sentence) == (401, "This request could not be authenticated.")
    return False


def test_a_token_of_a_known_key_has_its_claims() -> None:
    assert require_token(token(), KEYS, NOW) == CLAIMS


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_keys_of_each_size_verify(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    assert require_token(token(key=key), key_set(web_key(key)), NOW) == CLAIMS


def test_the_key_is_taken_by_its_id() -> None:
    both = key_set(web_key(OTHER_KEY, "other"), web_key(KEY))
    assert require_token(token(), both, NOW) == CLAIMS
    assert require_token(token(key=OTHER_KEY, key_id="other"), both, NOW) == CLAIMS
    assert is_refused(token(key=OTHER_KEY), both)
    assert is_refused(token(key_id="third"), both)


def test_an_unknown_key_is_refused_with_the_command_in_the_log() -> None:
    with pytest.raises(Unauthenticated) as refused:
        require_token(token(key_id="rolled"), KEYS, NOW)
    assert "mailroom sources refresh-keys" in refused.value.reason
    assert "rolled" not in refused.value.reason


def test_other_algorithms_are_refused() -> None:
    public = web_key(KEY)["n"].encode()
    assert is_refused(token(key=public, algorithm="HS256"))
    assert is_refused(token(key=None, algorithm="none"))
    for algorithm in ("RS384", "RS512", "PS256"):
        assert is_refused(token(algorithm=algorithm)), algorithm


@pytest.mark.parametrize(
    "changes",
    [{"kty": "oct"}, {"e": "Aw"}, {"n": "AQAB"}, {"n": ""}, {"n": 7}, {"alg": "RS512"}, {"use": "enc"}],
    ids=lambda changes: str(changes),
)
def test_a_key_that_is_not_for_this_signature_verifies_nothing(changes: dict[str, Any]) -> None:
    assert is_refused(token(), key_set(web_key(KEY, **changes)))


def test_a_small_key_verifies_nothing() -> None:
    signed = SMALL_KEY.sign(signing_input(CLAIMS), padding.PKCS1v15(), SHA256())
    assert is_refused(f"{signing_input(CLAIMS).decode()}.{encode(signed)}", key_set(web_key(SMALL_KEY)))


@pytest.mark.parametrize(
    ("claims", "now"),
    [
        (CLAIMS, NOW + 300),
        (CLAIMS, NOW - 301),
        ({"sub": "ada"}, NOW),
        ({**CLAIMS, "exp": "tomorrow"}, NOW),
        ({**CLAIMS, "exp": True}, NOW),
        ({**CLAIMS, "exp": None}, NOW),
        ({**CLAIMS, "nbf": NOW + 301}, NOW),
        ({**CLAIMS, "nbf": []}, NOW),
    ],
)
def test_a_token_outside_its_time_is_refused(claims: dict[str, Any], now: float) -> None:
    signed = KEY.sign(signing_input(claims), padding.PKCS1v15(), SHA256())
    assert is_refused(f"{signing_input(claims).decode()}.{encode(signed)}", now=now)


def test_each_changed_character_is_noticed() -> None:
    valid = token()
    for index in range(0, len(valid), 7):
        changed = valid[:index] + ("A" if valid[index] != "A" else "B") + valid[index + 1 :]
        assert is_refused(changed), index


@pytest.mark.parametrize(
    "value", ["", ".", "..", "...", "a.b", "a.b.c", "e30.e30.", "\u00e9.\u00e9.\u00e9", "null", " ", "x" * 70_000]
)
def test_garbage_is_refused(value: str) -> None:
    assert is_refused(value)


@pytest.mark.parametrize(
    "padded",
    [
        lambda digest, size: b"\x00\x01" + b"\xff" * 8 + b"\x00" + digest + bytes(size - 11 - len(digest)),
        lambda digest, size: b"\x00\x01" + b"\xff" * (size - 4 - len(digest)) + b"\x00" + digest + b"\x00",
        lambda digest, size: b"\x00\x02" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest,
        lambda digest, size: b"\x00\x01" + b"\xfe" * (size - 3 - len(digest)) + b"\x00" + digest,
        lambda digest, size: b"\x00\x01" + b"\xff" * (size - 3 - 32) + b"\x00" + digest[-32:],
    ],
    ids=["short-padding-garbage-after", "byte-after", "other-block-type", "other-padding", "no-digest-info"],
)
def test_an_encoding_other_than_the_standards_is_refused(padded: Any) -> None:
    numbers = KEY.private_numbers()
    modulus, size = numbers.public_numbers.n, 256
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signing_input(CLAIMS)).digest()
    signature = pow(int.from_bytes(padded(digest, size)), numbers.d, modulus).to_bytes(size)
    assert is_refused(f"{signing_input(CLAIMS).decode()}.{encode(signature)}")


def test_a_signature_of_another_length_or_beyond_the_modulus_is_refused() -> None:
    head, _, signature = token().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    modulus = KEY.private_numbers().public_numbers.n
    for changed in (b"\x00" + raw, raw[:-1], b"", (int.from_bytes(raw) + modulus).to_bytes(257), bytes(256)):
        assert is_refused(f"{head}.{encode(changed)}")


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"keys": 1}', '{"keys": [1]}', '{"keys": [{"kty": "RSA"}]}'])
def test_a_malformed_key_set_is_an_error_of_its_own(text: str) -> None:
    with pytest.raises(MalformedKeys, match="JSON Web Key Set"):
        JsonWebKeys.parse(text)


def test_a_compact_key_set_keeps_what_verifies_a_signature() -> None:
    published = {"keys": [web_key(KEY, x5c=["M" * 1500], x5t="t", issuer="https://login.example.com")]}
    compact = compact_keys(json.dumps(published))
    assert len(compact) < 500
    assert require_token(token(), JsonWebKeys.parse(compact), NOW) == CLAIMS
    with pytest.raises(MalformedKeys):
        compact_keys('{"keys": []}')


def test_a_critical_header_is_refused() -> None:
    header = {"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False}
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(CLAIMS).encode())}"
    signature = KEY.sign(signed.encode(), padding.PKCS1v15(), SHA256())
    assert is_refused(f"{signed}.{encode(signature)}")


def test_a_refusal_is_no_other_error() -> None:
    with pytest.raises(RequestError):
        require_token("a.b.c", JsonWebKeys.parse(""), NOW)


def signing_input(claims: Mapping[str, Any]) -> bytes:
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}".encode()


def encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
