"""Supabase's Send Email hook: recorded requests of its source, and its answers' rules."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mailroom.aws.client import Aws
from mailroom.delivery.seal import is_authentic
from mailroom.errors import TemporaryFailure
from mailroom.model.message import Parcel
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.settings import catalog
from tests.cloud import put
from tests.delivery.process import Process
from tests.sources.contract import Sample, sample, samples, vectors
from tests.sources.webhook import MAX_BODY_BYTES, Answer, Webhook

SECRET = "v1,whsec_bWFpbHJvb20tdGVzdC1zdXBhYmFzZS1zZWNyZXQtMDE="
NEXT_SECRET = "v1,whsec_bWFpbHJvb20tdGVzdC1zdXBhYmFzZS1zZWNyZXQtMDI="
NOW = 1_800_000_000.0
KINDS = {
    "signup": "sign-up-code",
    "magiclink": "sign-in-code",
    "recovery": "password-reset",
    "invite": "organization-invitation",
    "reauthentication": "permission-code",
}


@pytest.fixture
def webhook(aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    put(aws, "webhooks/supabase/secret", f"{SECRET}\n{NEXT_SECRET}")
    return Webhook(aws)


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a request, signed as Supabase does."""
    key = base64.b64decode(secret.removeprefix("v1,whsec_"))
    stamp = f"{at:.0f}"
    digest = hmac.digest(key, b"id-1." + stamp.encode() + b"." + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    names = {"webhook-id": "id-1", "webhook-timestamp": stamp, "webhook-signature": signature}
    return {**names, "content-type": "application/json"}


def request_body(action: str = "magiclink", **changes: Any) -> dict[str, Any]:
    """Return a body as Supabase sends it; `changes` replace whole parts."""
    email = {"token": "305805", "token_hash": "7d5b7b19", "email_action_type": action, "token_new": ""}
    urls = {"site_url": "http://localhost:9999", "redirect_to": "http://localhost:3000/"}
    metadata = {"uuid": "4f6a", "time": "2027-01-15T08:00:00.123456789Z", "ip_address": "203.0.113.7"}
    return {"metadata": metadata, "user": {"email": "ada@example.com"}, "email_data": {**email, **urls}, **changes}


def post(webhook: Webhook, body: Mapping[str, Any], at: float = NOW) -> Answer:
    raw = json.dumps(body).encode()
    return webhook.post("supabase", signed(raw, at), raw, at)


def replay(webhook: Webhook, recorded: Sample, **options: str) -> Answer:
    return webhook.post("supabase", recorded.headers, recorded.body, recorded.at, **options)


def is_taken_as_sent(answer: Answer) -> bool:
    """Test an answer by the rules that were recorded: a JSON object without an error, or it is a 500 to the app."""
    is_json = answer.headers["content-type"].startswith("application/json")
    return answer.status == 200 and is_json and isinstance(answer.json, dict) and "error" not in answer.json


def without_notices(contracts: Path) -> list[Sample]:
    return [recorded for recorded in samples(contracts, "supabase") if not recorded.id.endswith("_notification")]


def test_each_recorded_request_becomes_the_mails_that_it_means(webhook: Webhook, contracts: Path) -> None:
    for recorded in without_notices(contracts):
        assert is_taken_as_sent(replay(webhook, recorded)), recorded.id
        expected = sorted(recorded.expect["mails"], key=lambda mail: mail["to"])
        messages = webhook.messages()
        assert [message.to for message in messages] == [mail["to"] for mail in expected], recorded.id
        for message, mail in zip(messages, expected, strict=True):
            link = urlsplit(message.data["link"] or "")
            query = {name: value for name, (value,) in parse_qs(link.query).items()}
            assert message.data["code"] == mail["code"], recorded.id
            assert message.locales == tuple(recorded.expect["locale_candidates"])
            assert message.client_ip == recorded.expect["client_ip"]
            assert message.created_at == pytest.approx(recorded.at, abs=2)
            assert message.expires_at == message.created_at + 600
            if recorded.id != "reauthentication":
                assert f"{link.scheme}://{link.netloc}{link.path}" == "https://project-ref.example.com/auth/v1/verify"
                assert query["token"] == mail["token_hash"], recorded.id
                assert query["redirect_to"] == "https://app.example.com/welcome?next=%2Fhome&lang=de"


def test_each_recorded_notice_is_one_about_its_event(webhook: Webhook, contracts: Path) -> None:
    notices = [recorded for recorded in samples(contracts, "supabase") if recorded.id.endswith("_notification")]
    assert {recorded.id: event_of(webhook, recorded) for recorded in notices} == {
        "password_changed_notification": "password-changed",
        "email_changed_notification": "email-changed",
        "phone_changed_notification": "phone-changed",
        "identity_linked_notification": "sign-in-method-linked",
        "identity_unlinked_notification": "sign-in-method-unlinked",
        "mfa_factor_enrolled_notification": "factor-added",
        "mfa_factor_unenrolled_notification": "factor-removed",
    }


def event_of(webhook: Webhook, recorded: Sample) -> Any:
    """Post a recorded notice; return the event of its message, which needs no seal."""
    assert is_taken_as_sent(replay(webhook, recorded)), recorded.id
    (message,) = webhook.messages()
    assert (message.kind, message.to) == ("security-notice", recorded.expect["mails"][0]["to"])
    assert is_authentic(Parcel.of(message), "address key")
    return message.data["event"]


@pytest.mark.parametrize(("action", "kind"), KINDS.items())
def test_an_action_has_its_kind(webhook: Webhook, action: str, kind: str) -> None:
    assert post(webhook, request_body(action)).status == 200
    (message,) = webhook.messages()
    link = f"http://localhost:9999/verify?token=7d5b7b19&type={action}&redirect_to=http%3A%2F%2Flocalhost%3A3000%2F"
    assert (message.kind, message.to, message.data["code"]) == (kind, "ada@example.com", "305805")
    assert message.data["link"] == (None if action == "reauthentication" else link)


def test_a_secure_change_of_address_is_confirmed_by_both_addresses(webhook: Webhook, contracts: Path) -> None:
    answer = replay(webhook, sample(contracts, "supabase", "email_change_secure"))
    current, new = sorted(webhook.messages(), key=lambda message: len(message.to))
    assert [(m.to, m.kind) for m in (current, new)] == [
        ("ada@example.com", "permission-code"),
        ("ada.new@example.com", "email-confirmation"),
    ]
    assert answer.json == {"message_ids": [current.id, new.id], "status": "accepted"}
    addresses = {"email": "ada@example.com", "new_email": "ada.new@example.com"}
    for message in (current, new):
        assert addresses.items() <= message.data["user"].items()
        assert message.data["redirect_to"] == "https://app.example.com/welcome?next=%2Fhome&lang=de"


def test_the_second_mail_failing_to_be_queued_makes_no_copy_of_the_first(
    webhook: Webhook, contracts: Path, aws: Aws, environment: pytest.MonkeyPatch
) -> None:
    recorded = sample(contracts, "supabase", "email_change_secure")
    call, sends = aws.call, list[str]()

    def full_after_one(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        sends.append(operation)
        if operation == "SendMessage" and sends.count("SendMessage") == 2:
            raise TemporaryFailure("sqs", "throttled")
        return call(service, operation, payload, **options)

    environment.setattr(aws, "call", full_after_one)
    answer = replay(webhook, recorded)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    (first,) = webhook.messages()
    assert replay(webhook, recorded).status == 200
    again, second = sorted(webhook.messages(), key=lambda message: len(message.to))
    assert again == first
    assert second.id != first.id


def test_retries_become_one_mail_even_after_another_code(
    webhook: Webhook, aws: Aws, environment: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Mailroom <no-reply@example.com>"}')
    deliver = Process(aws)
    now = deliver.delivery.clock()
    times = [datetime.fromtimestamp(now - age, UTC).isoformat() for age in (20, 10)]
    first, other = (request_body(metadata={"uuid": time, "time": time}) for time in times)
    for body in (first, other, first):
        assert post(webhook, body, now).status == 200
        assert deliver.receive(*map(Parcel.of, webhook.messages())) == []
    assert len(sandbox.inbox.all()) == 2


def test_a_retry_after_an_hour_is_skipped_as_expired(webhook: Webhook, aws: Aws, sandbox: Sandbox) -> None:
    deliver = Process(aws)
    now = deliver.delivery.clock()
    made = datetime.fromtimestamp(now - 3600, UTC).isoformat()
    assert post(webhook, request_body(metadata={"uuid": "late", "time": made}), now).status == 200
    (message,) = webhook.messages()
    assert deliver.receive(Parcel.of(message)) == []
    assert deliver.row(message)["reason"] == "expired"
    assert sandbox.inbox.all() == []


def test_the_verdict_on_each_vector_is_that_of_the_libraries(
    aws: Aws, environment: pytest.MonkeyPatch, contracts: Path
) -> None:
    for vector in vectors(contracts, "supabase")["vectors"]:
        put(aws, "webhooks/supabase/secret", "\n".join(vector["secrets_held"]))
        recorded = sample(contracts, "supabase", vector["sample"]).with_changes(vector)
        answer = replay(Webhook(aws), recorded)
        assert answer.status == (200 if vector["expect"] == "valid" else 401), vector["id"]


def test_our_answer_is_one_that_the_sender_takes_as_sent(webhook: Webhook, contracts: Path) -> None:
    rows = json.loads((contracts / "auth-servers/supabase/answers.json").read_text(encoding="utf-8"))["rows"]
    assert rows
    assert is_taken_as_sent(post(webhook, request_body()))


@pytest.mark.parametrize(
    ("secret", "accepted"),
    [
        (SECRET, True),
        (f"{NEXT_SECRET}|{SECRET}", True),
        (f"{NEXT_SECRET}\n{SECRET}", True),
        (SECRET.removeprefix("v1,"), True),
        (NEXT_SECRET, False),
    ],
)
def test_a_secret_may_be_one_of_several_in_either_form(webhook: Webhook, aws: Aws, secret: str, accepted: bool) -> None:
    put(aws, "webhooks/supabase/secret", secret)
    assert post(webhook, request_body()).status == (200 if accepted else 401)


def test_codes_live_as_long_as_the_setting_states(webhook: Webhook, aws: Aws) -> None:
    put(aws, "webhooks/supabase/code_lifetime_minutes", "60")
    assert post(webhook, request_body()).status == 200
    (message,) = webhook.messages()
    assert message.expires_at == message.created_at + 3600


@pytest.mark.parametrize("minutes", ["an hour", "0", "1441", "-5", "1.5", "\u0663"])
def test_a_malformed_lifetime_is_a_503_and_the_log_names_it(webhook: Webhook, aws: Aws, minutes: str) -> None:
    put(aws, "webhooks/supabase/code_lifetime_minutes", minutes)
    assert post(webhook, request_body()).status == 503
    (line,) = webhook.function.logged("Message not queued: a dependency failed")
    assert line["detail"].startswith("webhooks/supabase/code_lifetime_minutes must be a number of minutes")
    fault = catalog.fault("webhooks/supabase/code_lifetime_minutes", minutes)
    assert fault == "it must be a number of minutes, from 1 to 1440"


def test_a_tenant_has_a_secret_of_its_own(webhook: Webhook, aws: Aws) -> None:
    put(aws, "webhooks/supabase/acme/secret", NEXT_SECRET)
    raw = json.dumps(request_body()).encode()
    statuses = {
        secret: webhook.post("supabase", signed(raw, NOW, secret), raw, NOW, tenant="acme").status
        for secret in (SECRET, NEXT_SECRET)
    }
    assert statuses == {SECRET: 401, NEXT_SECRET: 200}
    assert [message.tenant for message in webhook.messages()] == ["acme"]


def test_a_body_without_metadata_is_sent_at_once(webhook: Webhook) -> None:
    body = request_body()
    del body["metadata"]
    assert post(webhook, body).status == 200
    (message,) = webhook.messages()
    assert (message.created_at, message.client_ip) == (NOW, "")
    assert message.identity


def test_a_redirect_that_is_no_address_does_not_stop_a_code(webhook: Webhook) -> None:
    body = request_body()
    body["email_data"] |= {"site_url": "javascript:alert(1)"}
    assert post(webhook, body).status == 200
    (message,) = webhook.messages()
    assert (message.data["code"], message.data["link"]) == ("305805", None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b'{"user": {"email": "ada', 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"user": [], "email_data": "x"}', 422),
        (json.dumps(request_body(user={"email": None})).encode(), 422),
        (json.dumps(request_body(user={"email": "a@example.com,b@example.com"})).encode(), 422),
        (json.dumps(request_body(email_data={"token": 305805, "email_action_type": "signup"})).encode(), 422),
        (json.dumps(request_body(email_data={"token": "1\r\nBcc: x", "email_action_type": "signup"})).encode(), 422),
        (json.dumps(request_body(padding="x" * MAX_BODY_BYTES)).encode(), 413),
    ],
)
def test_a_signed_request_that_is_not_the_hooks_gets_one_sentence(webhook: Webhook, body: bytes, status: int) -> None:
    answer = webhook.post("supabase", signed(body, NOW), body, NOW)
    assert answer.status == status
    assert answer.body.endswith(".")
    assert webhook.messages() == []


def test_no_log_line_contains_private_data(webhook: Webhook, capsys: pytest.CaptureFixture[str]) -> None:
    post(webhook, request_body(user={"email": "canary@example.com"}))
    post(webhook, request_body(user={"email": "canary@example.com,"}))
    written = webhook.function.log.getvalue() + "".join(capsys.readouterr())
    for canary in ("canary", "305805", "7d5b7b19", SECRET):
        assert canary not in written
