"""Signature Version 4A, against requests that botocore signed, and the keys that AWS publishes.

sigv4a_requests.json was recorded with botocore 1.44.3 and awscrt 0.38.1. Its signatures are random, so ours differ from
them: each has to verify under the key and the text of the other. awscrt is not a dependency, since botocore loads
it with each start if it is there, in 65 ms.
"""

import calendar
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mailroom.network import sigv4a
from mailroom.network.sigv4 import Credentials, string_to_sign

REQUESTS = json.loads((Path(__file__).parent / "sigv4a_requests.json").read_text())


def public_key(credentials: Credentials) -> ec.EllipticCurvePublicKey:
    return ec.derive_private_key(sigv4a.private_key(credentials), ec.SECP256R1()).public_key()


def test_credentials_have_the_key_that_aws_publishes_for_them() -> None:
    # https://github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4a (2026-11)
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    numbers = public_key(credentials).public_numbers()
    assert f"{numbers.x:064x}" == "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1"
    assert f"{numbers.y:064x}" == "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518"


@pytest.mark.parametrize("recorded", REQUESTS, ids=lambda recorded: recorded["region"])
def test_a_request_is_signed_as_botocore_signs_it(recorded: Mapping[str, Any]) -> None:
    theirs, body = recorded["headers"], recorded["body"].encode()
    credentials = Credentials(recorded["key"], recorded["secret"], recorded["token"])
    headers = {name: theirs[name] for name in ("host", "content-type")}
    now = calendar.timegm(time.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    path = urlsplit(recorded["url"]).path

    ours = sigv4a.sign(headers, body, "ses", credentials, now, path)

    assert ours.keys() == theirs.keys()
    assert ours | {"authorization": ""} == theirs | {"authorization": ""}
    (scope, signature), (their_scope, their_signature) = map(split, (ours, theirs))
    assert scope == their_scope
    signed = {name: value for name, value in theirs.items() if name != "authorization"}
    text = string_to_sign("AWS4-ECDSA-P256-SHA256", signed, body, f"{theirs['x-amz-date'][:8]}/ses/aws4_request", path)
    for each in (signature, their_signature):
        public_key(credentials).verify(each, text.encode(), ec.ECDSA(hashes.SHA256()))


def split(headers: Mapping[str, str]) -> tuple[str, bytes]:
    """Return an Authorization header without its signature, and the signature."""
    scope, _, signature = headers["authorization"].rpartition("Signature=")
    return scope, bytes.fromhex(signature)
