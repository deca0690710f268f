"""ECDSA on the curve P-256 with SHA-256 (FIPS 186-5), with nonces that are derived from key and content (RFC 6979).

A library in C would add 15 MB to the cold start of every function that sends. This takes half a millisecond for a
signature. Python's integers take longer for some values than for others, so a person who measures many signatures, and
reads them, could learn something about the key. Use it only for signatures that go to the owner of the key.
"""

import hashlib
import hmac
from functools import cache

__all__ = ["ORDER", "sign"]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
WINDOW_BITS = 4
WINDOWS = 256 // WINDOW_BITS

Point = tuple[int, int, int]  # projective: x/z, y/z; z is 0 at infinity

GENERATOR: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    1,
)
INFINITY: Point = (0, 1, 0)


def sign(private_key: int, content: bytes) -> bytes:
    """Return the signature of `content` in DER. The same content always has the same signature."""
    digest = int.from_bytes(hashlib.sha256(content).digest()) % ORDER
    nonce = _nonce(private_key, digest)
    x, _, z = _multiple_of_generator(nonce)
    r = x * pow(z, -1, PRIME) % PRIME % ORDER
    s = pow(nonce, -1, ORDER) * (digest + r * private_key) % ORDER
    integers = _der_integer(r) + _der_integer(s)
    return bytes((0x30, len(integers))) + integers


def _nonce(private_key: int, digest: int) -> int:
    """https://www.rfc-editor.org/rfc/rfc6979#section-3.2"""
    seed = private_key.to_bytes(32) + digest.to_bytes(32)
    key, value = bytes(32), b"\1" * 32
    for step in (b"\0", b"\1"):
        key = hmac.digest(key, value + step + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        nonce = int.from_bytes(value)
        if 0 < nonce < ORDER:
            return nonce
        key = hmac.digest(key, value + b"\0", "sha256")
        value = hmac.digest(key, value, "sha256")


def _multiple_of_generator(scalar: int) -> Point:
    """Return `scalar` times the generator, in as many additions for each scalar."""
    total = INFINITY
    for multiples in _multiples():
        total = _add(total, multiples[scalar % (1 << WINDOW_BITS)])
        scalar >>= WINDOW_BITS
    return total


@cache
def _multiples() -> list[list[Point]]:
    """Return 0 to 15 times the generator for each window: ten milliseconds for a process, with its first signature."""
    table: list[list[Point]] = []
    base = GENERATOR
    for _ in range(WINDOWS):
        multiples = [INFINITY]
        for _ in range((1 << WINDOW_BITS) - 1):
            multiples.append(_add(multiples[-1], base))
        table.append(multiples)
        base = _add(multiples[-1], base)
    return table


def _add(first: Point, second: Point) -> Point:
    """Add two points, equal or not: Renes, Costello, Batina, https://eprint.iacr.org/2015/1060, algorithm 4."""
    (x1, y1, z1), (x2, y2, z2) = first, second
    xx, yy, zz = x1 * x2 % PRIME, y1 * y2 % PRIME, z1 * z2 % PRIME
    xy, yz, xz = (x1 * y2 + x2 * y1) % PRIME, (y1 * z2 + y2 * z1) % PRIME, (x1 * z2 + x2 * z1) % PRIME
    shift = 3 * (xz - B * zz) % PRIME
    minus, plus = yy - shift, yy + shift
    skew = 3 * (B * xz - 3 * zz - xx) % PRIME
    slope = 3 * (xx - zz)
    return (
        (xy * plus - yz * skew) % PRIME,
        (plus * minus + slope * skew) % PRIME,
        (yz * minus + xy * slope) % PRIME,
    )


def _der_integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1)  # the highest bit is the sign
    return bytes((0x02, len(content))) + content
