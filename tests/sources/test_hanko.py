"""Hanko's `email.send`: its recorded envelopes, tokens by PyJWT, and forgeries."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.seal import is_authentic
from mailroom.model.message import Parcel
from mailroom_ops.local.source_requests import SourceRequests
from tests.cloud import put
from tests.sources.contract import Sample, sample, samples, vectors
from tests.sources.webhook import MAX_BODY_BYTES, Answer, Webhook

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0
KINDS = {
    "email_verification": "email-confirmation",
    "login": "sign-in-code",
    "recovery": "password-reset",
    "security_email_create": "security-notice",
    "security_email_delete": "security-notice",
    "security_mfa_create": "security-notice",
    "security_mfa_delete": "security-notice",
    "security_passkey_create": "security-notice",
    "security_password_update": "security-notice",
    "security_primary_email_update": "security-notice",
}
EVENTS = {
    "security_email_create": "sign-in-method-linked",
    "security_email_delete": "sign-in-method-unlinked",
    "security_mfa_create": "factor-added",
    "security_mfa_delete": "factor-removed",
    "security_passkey_create": "passkey-added",
    "security_password_update": "password-changed",
    "security_primary_email_update": "email-changed",
}


@pytest.fixture
def recorded(contracts: Path, aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    """The webhook with the settings of the recorded requests."""
    put(aws, "webhooks/hanko/audience", vectors(contracts, "hanko")["audience"])
    put(aws, "webhooks/hanko/keys", (contracts / "auth-servers/hanko/jwks.json").read_text("utf-8"))
    return Webhook(aws)


@pytest.fixture
def local(aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    for name, value in REQUESTS.tenants("hanko")["default"].items():
        put(aws, f"webhooks/hanko/{name}", value)
    return Webhook(aws)


REQUESTS = SourceRequests(ROOT, ROOT / "ops/mailroom_ops/local/secrets.yaml")


def replay(webhook: Webhook, request: Sample) -> Answer:
    return webhook.post("hanko", request.headers, request.body, request.at)


def test_each_recorded_mail_is_mapped(recorded: Webhook, contracts: Path) -> None:
    mails = {}
    for request in samples(contracts, "hanko"):
        assert replay(recorded, request).status == 200, request.id
        for message in recorded.messages():
            mails[request.id] = message.kind
            expires_at = request.expect["expires_at"]
            assert message.to == request.expect["to"], request.id
            assert message.data.get("code") == request.expect["code"]
            assert list(message.locales) == request.expect["locale_candidates"]
            assert message.data["application"] == {"name": "Acme B\u00f6x"}
            assert message.created_at == 1795660000
            assert expires_at is None or message.expires_at == expires_at
            assert message.data.get("event") == EVENTS.get(request.id)
            assert is_authentic(Parcel.of(message), "address key")
    assert mails == KINDS


@pytest.mark.parametrize("name", ["login_delivered_by_hanko", "email_login_attempted", "email_registration_attempted"])
def test_a_mail_that_is_not_ours_to_send_is_accepted_and_skipped(recorded: Webhook, contracts: Path, name: str) -> None:
    answer = replay(recorded, sample(contracts, "hanko", name))
    assert (answer.status, answer.json) == (200, {"status": "skipped"})
    assert recorded.messages() == []


def test_the_verdict_on_each_token_is_the_expected_one(recorded: Webhook, contracts: Path) -> None:
    request, facts = sample(contracts, "hanko", "login"), vectors(contracts, "hanko")
    for vector in facts["vectors"]:
        changed = request.with_changes({**vector, "verify_at": facts["verify_at"]})
        answer = replay(recorded, changed)
        assert answer.status == (401 if vector["expect"] == "invalid" else 200), vector["id"]
        assert len(recorded.messages()) == (vector["expect"] == "valid"), vector["id"]


def test_a_replayed_request_is_the_same_message_and_later_none(local: Webhook) -> None:
    request = REQUESTS.make("hanko", NOW)
    for at in (NOW, NOW + 90):
        assert local.post("hanko", request.headers, request.body, at).status == 200
    first, again = local.messages()
    assert first == again
    assert local.post("hanko", request.headers, request.body, NOW + 3600).status == 401


def test_two_codes_are_two_messages(local: Webhook) -> None:
    for _ in range(2):
        request = REQUESTS.make("hanko", NOW)
        assert local.post("hanko", request.headers, request.body, NOW).status == 200
    assert len({message.id for message in local.messages()}) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 401),
        (b'{"token": "e30', 401),
        (b"[]", 401),
        (b"{}", 401),
        (b'{"token": 7}', 401),
        (b'{"token": "e30.e30.e30"}', 401),
        (b'{"token": "' + b"x" * MAX_BODY_BYTES + b'"}', 401),
    ],
)
def test_a_body_without_a_valid_token_is_refused(local: Webhook, body: bytes, status: int) -> None:
    answer = local.post("hanko", {"content-type": "application/json"}, body, NOW)
    assert (answer.status, answer.body) == (status, "This request could not be authenticated.")


def test_a_tenant_has_keys_and_an_audience_of_its_own(local: Webhook, aws: Aws) -> None:
    request = REQUESTS.make("hanko", NOW)
    post: Any = lambda: local.post("hanko", request.headers, request.body, NOW, tenant="acme")  # noqa: E731
    assert post().status == 401
    settings = REQUESTS.tenants("hanko")["default"]
    put(aws, "webhooks/hanko/acme/keys", json.loads(settings["keys"]))
    put(aws, "webhooks/hanko/acme/audience", settings["audience"])
    webhook = Webhook(aws)
    assert webhook.post("hanko", request.headers, request.body, NOW, tenant="acme").status == 200
    assert [message.tenant for message in webhook.messages()] == ["acme"]
