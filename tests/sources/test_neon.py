"""Neon Auth's webhooks: documented events, signed by jose and judged by cryptography."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom_ops.local.source_requests import SourceRequests
from tests.cloud import put
from tests.sources.contract import Sample, vectors
from tests.sources.webhook import MAX_BODY_BYTES, Answer, Webhook

ROOT = Path(__file__).parents[2]
REQUESTS = SourceRequests(ROOT, ROOT / "ops/mailroom_ops/local/secrets.yaml")
NOW = 1_800_000_000.0
KINDS = {"sign-in": "sign-in-code", "email-verification": "email-confirmation", "forget-password": "password-reset"}


@pytest.fixture
def recorded(contracts: Path, aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    """The webhook with the keys of the recorded requests."""
    put(aws, "webhooks/neon/keys", (contracts / "auth-servers/neon/jwks.json").read_text("utf-8"))
    return Webhook(aws)


@pytest.fixture
def local(aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    for name, value in REQUESTS.tenants("neon")["default"].items():
        put(aws, f"webhooks/neon/{name}", value)
    return Webhook(aws)


def replay(webhook: Webhook, vector: dict[str, Any], seconds_later: float = 0) -> Answer:
    sample = Sample(vector)
    return webhook.post("neon", sample.headers, sample.body, vector["verify_at_ms"] / 1000 + seconds_later)


def expectations(contracts: Path) -> dict[str, dict[str, Any]]:
    text = (contracts / "auth-servers/neon/expect.json").read_text("utf-8")
    return {row["vector"]: row for row in json.loads(text)}


def post(webhook: Webhook, change: dict[str, Any], headers: Mapping[str, str] = {}) -> Answer:
    """Post a request of the local project after a change of its event data."""
    request = REQUESTS.make("neon", NOW)
    body = json.loads(request.body)
    body["event_data"] |= change
    content = json.dumps(body).encode() if change else request.body
    return webhook.post("neon", {**request.headers, **headers}, content, NOW)


def test_the_verdict_on_each_vector_is_the_expected_one(recorded: Webhook, contracts: Path) -> None:
    for vector in vectors(contracts, "neon")["vectors"]:
        answer = replay(recorded, vector)
        is_sms = vector["id"] == "send.otp-delivery-preference-sms"
        valid = 422 if is_sms else 200
        assert answer.status == (valid if vector["expect"] == "valid" else 401), vector["id"]


def test_each_valid_event_is_mapped(recorded: Webhook, contracts: Path) -> None:
    listed = {vector["id"]: vector for vector in vectors(contracts, "neon")["vectors"]}
    for name, expected in expectations(contracts).items():
        answer = replay(recorded, listed[name])
        messages = recorded.messages()
        if expected["action"] != "send":
            assert messages == [], name
            assert answer.status == (422 if expected["action"].startswith("fail") else 200), name
            continue
        (message,) = messages
        assert (message.to, message.kind) == (expected["to"], KINDS[expected["kind"]]), name
        assert (message.data["code"], message.data["link"]) == (expected["code"], expected["link"])
        assert message.client_ip == expected["client_ip"]
        assert message.created_at == 1795660000
        assert message.expires_at - message.created_at == (600 if expected["code"] else 3600)


def test_an_attempt_is_the_same_message_as_the_one_before(recorded: Webhook, contracts: Path) -> None:
    listed = {vector["id"]: vector for vector in vectors(contracts, "neon")["vectors"]}
    for name in ("send.otp-sign-in", "retry-attempt-2-same-event-id"):
        assert replay(recorded, listed[name]).status == 200
    first, again = recorded.messages()
    assert first == again


def test_a_request_is_refused_after_five_minutes(recorded: Webhook, contracts: Path) -> None:
    (vector, *_) = vectors(contracts, "neon")["vectors"]
    assert replay(recorded, vector, 269).status == 200
    assert replay(recorded, vector, 280).status == 401
    assert replay(recorded, vector, 3600).status == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("x-neon-signature", value) for value in ("", "..", "a..b", "e30..", "x" * 70_000, "\u00e9..\u00e9")),
        *(("x-neon-signature-kid", value) for value in ("", "unknown", "local")),
        *(("x-neon-timestamp", value) for value in ("", "1", "now", "-1800000000000", "1800000000", "9" * 30)),
    ],
)
def test_a_changed_header_is_refused_with_one_sentence(local: Webhook, name: str, value: str) -> None:
    answer = post(local, {}, {name: value})
    assert (answer.status, answer.body) == (401, "This request could not be authenticated.")
    assert local.messages() == []


def test_a_changed_body_is_refused(local: Webhook) -> None:
    assert post(local, {}).status == 200
    assert post(local, {"otp_code": "000000"}).status == 401


def test_an_unknown_key_is_a_401_and_the_log_has_the_command(local: Webhook, aws: Aws) -> None:
    keys = json.loads(REQUESTS.tenants("neon")["default"]["keys"])
    keys["keys"][0]["kid"] = "rolled"
    put(aws, "webhooks/neon/keys", keys)
    assert post(local, {}).status == 401
    (line,) = local.function.logged("Refused")
    assert "mailroom sources refresh-keys" in line["reason"]


@pytest.mark.parametrize("change", [{"kty": "RSA"}, {"crv": "X25519"}, {"alg": "ES256"}, {"x": "AAAA"}, {"x": 7}])
def test_a_key_for_another_purpose_verifies_nothing(local: Webhook, aws: Aws, change: dict[str, Any]) -> None:
    keys = json.loads(REQUESTS.tenants("neon")["default"]["keys"])
    keys["keys"][0] |= change
    put(aws, "webhooks/neon/keys", keys)
    assert post(local, {}).status == 401


def test_an_unsigned_request_of_any_size_is_refused(local: Webhook) -> None:
    for body in (b"", b"{", b"[]", b"x" * (MAX_BODY_BYTES + 1)):
        assert local.post("neon", {"content-type": "application/json"}, body, NOW).status == 401
