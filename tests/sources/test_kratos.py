"""Ory Kratos' courier: our Jsonnet file over recorded contexts, and the requests that come of them."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _jsonnet  # type: ignore[import-untyped]
import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.seal import is_authentic
from mailroom.model.message import Parcel
from tests.cloud import put
from tests.sources.contract import Sample, sample, samples
from tests.sources.webhook import MAX_BODY_BYTES, Answer, Webhook

ROOT = Path(__file__).parents[2]
JSONNET = ROOT / "clients/kratos/mailroom.jsonnet"
SECRET = "a-secret-of-kratos"
BEARER = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
NOW = 1_800_000_000.0
KINDS = {
    "authenticator_key_added": "security-notice",
    "login_code_valid": "sign-in-code",
    "recovery_code_valid": "password-reset",
    "recovery_valid": "password-reset",
    "verifiable_address_changed": "security-notice",
    "verification_code_valid": "email-confirmation",
    "verification_valid": "email-confirmation",
}
EVENTS = {"authenticator_key_added": "sign-in-method-linked", "verifiable_address_changed": "email-changed"}


@pytest.fixture
def webhook(aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    put(aws, "webhooks/kratos/secret", f"the-next-secret\n{SECRET}")
    return Webhook(aws)


def body_of(context: str) -> str:
    """Return what Kratos would post: our file, evaluated with a context as its JSON text."""
    return str(_jsonnet.evaluate_file(str(JSONNET), tla_codes={"ctx": context}))


def post(webhook: Webhook, body: str | bytes, headers: Mapping[str, str] = BEARER, at: float = NOW) -> Answer:
    return webhook.post("kratos", headers, body, at)


def languages(candidates: list[str]) -> list[str]:
    """Return the tags of recorded candidates, of which the last may be a whole Accept-Language header."""
    tags = [part.partition(";")[0] for candidate in candidates for part in candidate.split(",")]
    return list(dict.fromkeys(tags))


def recorded(contracts: Path) -> list[Sample]:
    return samples(contracts, "kratos")


def test_each_recorded_context_becomes_its_mail(webhook: Webhook, contracts: Path) -> None:
    kinds = {}
    for request in recorded(contracts):
        assert post(webhook, body_of(request.content["ctx_text"])).status == 200, request.id
        for message in webhook.messages():
            kinds[request.id] = message.kind
            minutes = request.expect["expires_in_minutes"]
            assert message.to == request.expect["to"], request.id
            assert (message.data.get("code"), message.data.get("link")) == (
                request.expect["code"],
                request.expect["link"],
            )
            assert minutes is None or message.expires_at == NOW + minutes * 60
            assert list(message.locales) == languages(request.expect["locale_candidates"]), request.id
            assert message.data.get("event") == EVENTS.get(request.id)
            assert is_authentic(Parcel.of(message), "address key")
    assert kinds == KINDS


@pytest.mark.parametrize(
    "name", ["recovery_invalid", "recovery_code_invalid", "verification_invalid", "verification_code_invalid"]
)
def test_a_mail_to_an_address_without_an_account_is_accepted_and_skipped(
    webhook: Webhook, contracts: Path, name: str
) -> None:
    answer = post(webhook, body_of(sample(contracts, "kratos", name).content["ctx_text"]))
    assert (answer.status, answer.json) == (200, {"status": "skipped"})
    assert webhook.messages() == []


def test_what_kratos_rendered_itself_stays_behind(contracts: Path) -> None:
    for request in recorded(contracts):
        context = json.loads(request.content["ctx_text"])
        body = body_of(request.content["ctx_text"])
        assert context["body"][:40] not in body, request.id
        assert "subject" not in json.loads(body)


def test_a_sign_in_to_an_application_carries_its_name_and_the_browsers_address(
    webhook: Webhook, contracts: Path
) -> None:
    post(webhook, body_of(sample(contracts, "kratos", "login_code_valid").content["ctx_text"]))
    (message,) = webhook.messages()
    assert message.data["application"] == {"name": "Acme B\u00f6x & Co"}
    assert message.client_ip == "203.0.113.7"
    assert message.data["transient_payload"] == {"locale": "de", "theme": "dark"}


def test_a_registration_has_traits_and_no_identity_yet(webhook: Webhook) -> None:
    data = {"registration_code": "774421", "traits": {"locale": "fr"}, "expires_in_minutes": 15}
    context = {"recipient": "ada@example.com", "template_type": "registration_code_valid", "template_data": data}
    assert post(webhook, body_of(json.dumps(context))).status == 200
    (message,) = webhook.messages()
    assert (message.kind, message.data["code"], message.locales) == ("sign-up-code", "774421", ("fr",))


@pytest.mark.parametrize("context", ["{}", '{"template_data": null, "request_headers": null}'])
def test_the_file_needs_a_recipient_and_a_template_type_only(context: str) -> None:
    content = json.loads(context) | {"recipient": "ada@example.com", "template_type": "recovery_invalid"}
    body = json.loads(body_of(json.dumps(content)))
    assert {name for name, value in body.items() if value is not None} == {"to", "template_type"}


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {SECRET}", 200),
        (f"bearer {SECRET}", 200),
        (SECRET, 200),
        (f"Basic {base64.b64encode(f'kratos:{SECRET}'.encode()).decode()}", 200),
        ("Bearer the-next-secret", 200),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        (f"Token {SECRET}", 401),
        (f"Basic {SECRET}", 401),
        (f"Basic {base64.b64encode(f'{SECRET}:'.encode()).decode()}", 401),
        (f"Basic {base64.b64encode(SECRET.encode()).decode()}", 401),
        ("Basic %%%", 401),
    ],
)
def test_the_secret_is_a_bearer_token_a_password_or_the_header(
    webhook: Webhook, authorization: str, status: int
) -> None:
    body = json.dumps({"template_type": "login_code_valid", "to": "ada@example.com", "code": "018276"})
    assert post(webhook, body, {**BEARER, "authorization": authorization}).status == status


def test_a_mail_that_kratos_repeats_has_one_identity(webhook: Webhook) -> None:
    body = json.dumps({"template_type": "login_code_valid", "to": "ada@example.com", "code": "018276"})
    for at in (NOW, NOW + 1):
        post(webhook, body, at=at)
    assert len({message.identity for message in webhook.messages()}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b'{"to": "ada@exam', 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"template_type": "login_code_valid", "to": "ada@example.com"}', 422),
        (b'{"template_type": "login_code_valid", "to": "ada@example.com", "code": {"a": 1}}', 422),
        (b'{"template_type": "recovery_valid", "to": "ada@example.com", "link": "javascript:alert(1)"}', 422),
        (b'{"template_type": "login_code_valid", "to": "ada", "code": "018276"}', 422),
        (b'{"template_type": "login_code_valid", "to": 7, "code": "018276"}', 422),
        (b'{"padding": "' + b"x" * MAX_BODY_BYTES + b'"}', 413),
    ],
)
def test_a_body_that_is_not_our_files_gets_one_sentence(webhook: Webhook, body: bytes, status: int) -> None:
    answer = post(webhook, body)
    assert answer.status == status
    assert answer.body.endswith((".", "?"))
    assert webhook.messages() == []


@pytest.mark.parametrize("minutes", ["soon", True, None, [], 1e9])
def test_an_odd_lifetime_does_not_stop_a_code(webhook: Webhook, minutes: Any) -> None:
    body = {"template_type": "login_code_valid", "to": "ada@example.com", "code": "018276"}
    assert post(webhook, json.dumps({**body, "expires_in_minutes": minutes})).status == 200
    (message,) = webhook.messages()
    assert NOW < message.expires_at <= NOW + 7 * 24 * 3600
