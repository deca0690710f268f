"""Signatures of Standard Webhooks: vectors of four libraries, and headers as nobody should send them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom.errors import ConfigurationError
from mailroom.request import Request
from mailroom.webhooks.authentication import Unauthenticated
from mailroom.webhooks.standard_webhooks import require_signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PARAMETER = "webhooks/supabase/secret"
SIGNED = {  # the example of the standard's own libraries
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
SIGNED_AT = 1614265330.0


def request(headers: Mapping[str, str], body: bytes = BODY, at: float = SIGNED_AT) -> Request:
    return Request("POST", {}, headers, body, "192.0.2.1", at)


def vectors(contracts: Path) -> list[dict[str, Any]]:
    path = contracts / "auth-servers/standard-webhooks/vectors.json"
    listed: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return listed


def is_accepted(vector: Mapping[str, Any], secret: str) -> bool:
    try:
        require_signature(request(vector["headers"], vector["body"].encode(), vector["verify_at"]), [secret], PARAMETER)
    except Unauthenticated:
        return False
    return True


def test_the_verdict_on_each_vector_is_that_of_the_libraries(contracts: Path) -> None:
    symmetric = [vector for vector in vectors(contracts) if vector["scheme"] == "v1"]
    assert len(symmetric) > 25
    for vector in symmetric:
        assert is_accepted(vector, vector["secret"]) == (vector["expect"] == "valid"), vector["id"]


def test_an_asymmetric_signature_proves_nothing(contracts: Path) -> None:
    asymmetric = [vector for vector in vectors(contracts) if vector["scheme"] == "v1a"]
    assert asymmetric
    for vector in asymmetric:
        assert not is_accepted(vector, vector["public_key"].removeprefix("whpk_")), vector["id"]


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
def test_both_names_of_the_headers_are_read(prefix: str) -> None:
    headers = {name.replace("webhook", prefix): value for name, value in SIGNED.items()}
    assert require_signature(request(headers), [SECRET], PARAMETER) == SIGNED["webhook-id"]


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        SECRET.removeprefix("whsec_"),
        f"v1,{SECRET}",
        f"v1,whsec_b3RoZXIgc2VjcmV0|v1,{SECRET}",
        f"v1,{SECRET}|v1,whsec_b3RoZXIgc2VjcmV0",
    ],
)
def test_a_secret_has_several_forms(secret: str) -> None:
    assert require_signature(request(SIGNED), ["whsec_YW5vdGhlcg==", secret], PARAMETER) == SIGNED["webhook-id"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("webhook-signature", value) for value in ("", "v1", "v1,", ",", ", ", "v1,a,b", "v1,=", "v2,A", "garbage")),
        ("webhook-signature", SIGNED["webhook-signature"].removeprefix("v1,")),
        ("webhook-signature", "v1a," + SIGNED["webhook-signature"].removeprefix("v1,")),
        ("webhook-signature", "v1,\u00e9\u00e9\u00e9\u00e9"),
        ("webhook-id", ""),
        ("webhook-id", "msg_other"),
        ("webhook-id", "\udcff"),
        *(("webhook-timestamp", value) for value in ("", "now", "1614265330.0", "-1614265330", "9" * 20, "1614265331")),
    ],
)
def test_a_changed_or_malformed_header_is_refused_with_one_sentence(name: str, value: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        require_signature(request({**SIGNED, name: value}), [SECRET], PARAMETER)
    assert (refused.value.status, refused.value.sentence) == (401, "This request could not be authenticated.")


@pytest.mark.parametrize("secret", ["whsec_", "not base64!", "v1,whsec_|v1,whsec_", "v1a,whpk_nOlc"])
def test_a_malformed_secret_is_named_by_its_parameter(secret: str) -> None:
    with pytest.raises(ConfigurationError, match=PARAMETER):
        require_signature(request(SIGNED), [secret], PARAMETER)
