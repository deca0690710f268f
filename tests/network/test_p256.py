"""ECDSA on P-256: the examples of RFC 6979, and signatures that `cryptography` verifies."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailroom.network import p256

# https://www.rfc-editor.org/rfc/rfc6979#appendix-A.2.5
RFC_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_SIGNATURES = {
    b"sample": (
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    b"test": (
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
}


@pytest.mark.parametrize("content", RFC_SIGNATURES)
def test_the_signatures_of_the_standard_are_made_to_the_bit(content: bytes) -> None:
    assert decode_dss_signature(p256.sign(RFC_KEY, content)) == RFC_SIGNATURES[content]


@settings(max_examples=60, deadline=None)
@given(private_key=st.integers(1, p256.ORDER - 1), content=st.binary(max_size=200))
@example(private_key=1, content=b"")
@example(private_key=2, content=b"\0")
@example(private_key=p256.ORDER - 1, content=b"\xff" * 64)
def test_any_signature_is_verified_by_an_independent_library(private_key: int, content: bytes) -> None:
    public_key = ec.derive_private_key(private_key, ec.SECP256R1()).public_key()
    signature = p256.sign(private_key, content)

    public_key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public_key.verify(signature, content + b"!", ec.ECDSA(hashes.SHA256()))
