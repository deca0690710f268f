"""Entra External ID's OnOtpSend: the documented requests, tokens by PyJWT, and the answer to the letter."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom_ops.local.source_requests import SourceRequests
from tests.cloud import put
from tests.sources.contract import Sample, samples, vectors
from tests.sources.webhook import MAX_BODY_BYTES, Webhook

ROOT = Path(__file__).parents[2]
SECRETS_FILE = ROOT / "ops/mailroom_ops/local/secrets.yaml"
NOW = 1_800_000_000.0


@pytest.fixture
def recorded(contracts: Path, aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    """The webhook with the settings of the recorded requests."""
    facts = vectors(contracts, "entra")
    put(aws, "webhooks/entra/directory_id", facts["tenant"])
    put(aws, "webhooks/entra/audience", f"another\n{facts['audience']}")
    put(aws, "webhooks/entra/keys", (contracts / "auth-servers/entra/jwks.json").read_text("utf-8"))
    return Webhook(aws)


@pytest.fixture
def local(aws: Aws, environment: pytest.MonkeyPatch) -> "Local":
    return Local(aws)


class Local:
    """The webhook with the local settings, and requests that the local key signs."""

    def __init__(self, aws: Aws) -> None:
        self.requests = SourceRequests(ROOT, SECRETS_FILE)
        for name, value in self.requests.tenants("entra")["default"].items():
            put(aws, f"webhooks/entra/{name}", value)
        self.webhook = Webhook(aws)

    def post(self, body: bytes | None = None, at: float = NOW, **headers: str) -> Any:
        request = self.requests.make("entra", NOW)
        return self.webhook.post("entra", {**request.headers, **headers}, request.body if body is None else body, at)


def replay(webhook: Webhook, sample: Sample, **headers: str) -> Any:
    return webhook.post("entra", {**sample.headers, **headers}, sample.body, sample.at)


def test_each_documented_request_is_mapped_and_answered_to_the_letter(recorded: Webhook, contracts: Path) -> None:
    for sample in samples(contracts, "entra"):
        answer = replay(recorded, sample)
        (message,) = recorded.messages()
        expected = sample.expect["answer"]
        assert (answer.status, answer.json) == (expected["status"], expected["body"]), sample.id
        assert answer.headers["content-type"] == expected["content_type"]
        assert (message.to, message.data["code"]) == (sample.expect["to"], sample.expect["code"])
        assert list(message.locales) == sample.expect["locale_candidates"]
        assert (message.created_at, message.expires_at) == (sample.at, sample.at + 600)
        assert all(part in message.identity for part in sample.expect["dedupe_key"])


def test_the_verdict_on_each_token_is_the_expected_one(recorded: Webhook, contracts: Path) -> None:
    (sample, *_) = samples(contracts, "entra")
    for vector in vectors(contracts, "entra")["vectors"]:
        answer = replay(recorded, sample, authorization=f"Bearer {vector['token']}")
        assert answer.status == (200 if vector["expect"] == "valid" else 401), vector["id"]


@pytest.mark.parametrize(
    ("request_type", "kind"),
    [
        ("signUp", "sign-up-code"),
        ("signIn", "sign-in-code"),
        ("passwordReset", "password-reset"),
        ("later", "generic-code"),
    ],
)
def test_a_request_type_has_its_kind(local: Local, request_type: str, kind: str) -> None:
    body = json.loads(local.requests.make("entra", NOW).body)
    body["data"]["authenticationContext"]["requestType"] = request_type
    assert local.post(json.dumps(body).encode()).status == 200
    (message,) = local.webhook.messages()
    assert (message.kind, message.lane) == (kind, "codes")
    assert message.data["application"] == {"name": "Acme"}
    assert message.client_ip == "203.0.113.9"


def test_the_retry_of_a_request_has_the_same_identity_and_another_code_has_not(local: Local) -> None:
    body = local.requests.make("entra", NOW).body
    other = json.loads(body)
    other["data"]["otpContext"]["oneTimeCode"] = "99999999"
    for content in (body, body, json.dumps(other).encode()):
        assert local.post(content).status == 200
    messages = local.webhook.messages()
    assert len({message.identity for message in messages}) == 2
    assert len({message.id for message in messages}) == 3


def test_a_code_cannot_be_guessed_from_the_id_of_its_message(local: Local) -> None:
    body = local.requests.make("entra", NOW).body
    for _ in range(2):
        assert local.post(body).status == 200
    first, second = local.webhook.messages()
    assert first.id[12:] != second.id[12:]


def test_a_replayed_request_is_refused_once_its_token_has_expired(local: Local) -> None:
    assert local.post(at=NOW + 3600).status == 401


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic e30=", "bearer a.b.c", "Bearer e30.e30.e30"])
def test_a_request_without_a_token_is_refused(local: Local, authorization: str) -> None:
    answer = local.post(authorization=authorization)
    assert (answer.status, answer.body) == (401, "This request could not be authenticated.")
    assert local.webhook.messages() == []


def test_an_unknown_key_is_a_401_and_the_log_has_the_command(local: Local, aws: Aws) -> None:
    keys = json.loads(local.requests.tenants("entra")["default"]["keys"])
    keys["keys"][0]["kid"] = "rolled"
    put(aws, "webhooks/entra/keys", keys)
    assert local.post().status == 401
    (line,) = local.webhook.function.logged("Refused")
    assert "mailroom sources refresh-keys" in line["reason"]


def test_malformed_keys_are_a_503_and_the_log_names_them(local: Local, aws: Aws) -> None:
    put(aws, "webhooks/entra/keys", "https://login.example.com/keys")
    assert local.post().status == 503
    (line,) = local.webhook.function.logged("Message not queued: a dependency failed")
    assert line["detail"] == "webhooks/entra/keys must be a JSON Web Key Set, whose keys have a kid"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b'{"data": {"otpCon', 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"data": {"otpContext": {"identifier": "ada@example.com"}}}', 422),
        (b'{"data": {"otpContext": {"identifier": "ada@example.com", "oneTimeCode": 12345678}}}', 422),
        (b'{"data": {"otpContext": {"identifier": ["ada@example.com"], "oneTimeCode": "12345678"}}}', 422),
        (b'{"data": {"otpContext": {"identifier": "ada", "oneTimeCode": "12345678"}}}', 422),
        (b'{"padding": "' + b"x" * MAX_BODY_BYTES + b'"}', 413),
    ],
)
def test_a_request_that_is_not_the_events_gets_one_sentence(local: Local, body: bytes, status: int) -> None:
    answer = local.post(body)
    assert answer.status == status
    assert answer.body.endswith(".")
    assert local.webhook.messages() == []
