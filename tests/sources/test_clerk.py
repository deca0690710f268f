"""Clerk's `email.created`: its documented events, signed by Svix, to the real function."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.kinds import Lane
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put
from tests.delivery.process import Process
from tests.sources.rendered import Rendered, content_of

SECRET = "whsec_bWFpbHJvb20tdGVzdC1jbGVyay1lbmRwb2ludC1zZWM="
CREATED = 1_795_659_999.15
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "verification_code": ("generic-code", {"code": "482915"}),
    "reset_password_code": ("password-reset", {"code": "482915"}),
    "magic_link_sign_in": ("sign-in-code", {}),
    "magic_link_sign_up": ("sign-up-code", {}),
    "invitation": ("organization-invitation", {"organization": "Acme Böx"}),
    "organization_invitation": ("organization-invitation", {"organization": "Acme", "inviter": "Ada Löveläce"}),
    "waitlist_invitation": ("organization-invitation", {}),
    "new_device_sign_in": ("security-notice", {"event": "new-sign-in"}),
    "passkey_added": ("security-notice", {"event": "passkey-added"}),
    "password_changed": ("security-notice", {"event": "password-changed"}),
    "primary_email_address_changed": ("security-notice", {"event": "email-changed"}),
}
AS_RENDERED = ("password_removed", "unknown-slug", "slug-null")
SKIPPED = ("delivered-by-clerk", "suppressed", "other-event-user-created")
REFUSED = ("tampered-body", "wrong-secret")
RETRIES = ("retry-same-id-1", "retry-same-id-2-five-minutes-later")


@pytest.fixture
def clerk(aws: Aws, environment: pytest.MonkeyPatch) -> Rendered:
    put(aws, "webhooks/clerk/secret", SECRET)
    return Rendered(aws)


@pytest.fixture
def samples(contracts: Path) -> dict[str, Any]:
    folder = contracts / "auth-servers" / "clerk" / "samples"
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def send(clerk: Rendered, sample: dict[str, Any]) -> int:
    return clerk.replay("clerk", sample, sample["verify_at"]).status


def resend(clerk: Rendered, sample: dict[str, Any], at: float, **changes: Any) -> Any:
    """Send a sample with changed data, signed anew."""
    body = json.loads(sample["request"]["body"])
    body["data"] |= changes
    sent = json.dumps(body)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"msg_1.{at:.0f}.{sent}".encode(), hashlib.sha256)
    names = {"svix-id": "msg_1", "svix-timestamp": f"{at:.0f}"}
    signature = {"svix-signature": f"v1,{base64.b64encode(digest).decode()}"}
    return clerk.post("clerk", {"content-type": "application/json", **names, **signature}, sent, at)


def test_every_sample_has_its_test(samples: dict[str, Any]) -> None:
    assert sorted(samples) == sorted((*KINDS, *AS_RENDERED, *SKIPPED, *REFUSED, *RETRIES))


@pytest.mark.parametrize("name", KINDS)
def test_a_known_slug_becomes_a_mail_of_ours(clerk: Rendered, samples: dict[str, Any], name: str) -> None:
    sample = samples[name]
    assert send(clerk, sample) == 200
    message = clerk.message()
    kind, data = KINDS[name]
    assert (message.kind, message.to, message.content) == (kind, "ada@example.com", None)
    assert data.items() <= message.data.items()
    expected = sample["expect"]
    assert (message.data.get("code"), message.data.get("link")) == (expected.get("code"), expected.get("link"))
    assert message.created_at == pytest.approx(CREATED, abs=10)
    assert (message.locales, message.client_ip) == (("de-AT",), "203.0.113.7")
    assert message.brand == {"name": "Acme Böx", "logo_url": "https://app.example.com/logo.png"}


@pytest.mark.parametrize("name", AS_RENDERED)
def test_any_other_mail_goes_out_as_clerk_wrote_it(clerk: Rendered, samples: dict[str, Any], name: str) -> None:
    assert send(clerk, samples[name]) == 200
    message = clerk.message()
    mail = json.loads(samples[name]["request"]["body"])["data"]
    content = content_of(message)
    assert (message.kind, message.lane) == ("rendered", Lane.CODES)
    assert (content.subject, content.html) == (mail["subject"], mail["body"])
    assert content.text.strip() == mail["body_plain"].strip()


def test_a_known_slug_without_its_code_goes_out_as_clerk_wrote_it(clerk: Rendered, samples: dict[str, Any]) -> None:
    sample = samples["verification_code"]
    assert resend(clerk, sample, sample["verify_at"], data={"app": {"name": "Acme"}}).status == 200
    assert content_of(clerk.message()).subject == "482915 is your verification code"


@pytest.mark.parametrize("name", SKIPPED)
def test_what_clerk_sends_itself_is_accepted_and_not_sent(clerk: Rendered, samples: dict[str, Any], name: str) -> None:
    answer = clerk.replay("clerk", samples[name], samples[name]["verify_at"])
    assert (answer.status, answer.json) == (200, {"status": "skipped"})
    assert clerk.messages() == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_signature_is_refused(clerk: Rendered, samples: dict[str, Any], name: str) -> None:
    assert send(clerk, samples[name]) == 401
    assert clerk.messages() == []


def test_a_retry_is_the_same_message(clerk: Rendered, samples: dict[str, Any]) -> None:
    assert [send(clerk, samples[name]) for name in RETRIES] == [200, 200]
    first, again = clerk.messages()
    assert first.id == again.id
    assert first.expires_at == again.expires_at


def test_a_retry_after_hours_sends_no_dead_code(
    clerk: Rendered, aws: Aws, samples: dict[str, Any], sandbox: Sandbox
) -> None:
    sample = samples["verification_code"]
    assert resend(clerk, sample, sample["verify_at"] + 5 * 3600).status == 200
    (parcel,) = clerk.parcels()
    assert parcel.message.expires_at < sample["verify_at"] + 600
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    process = Process(aws)
    process.delivery.clock = lambda: sample["verify_at"] + 5 * 3600
    process.receive(parcel)
    assert sandbox.inbox.all() == []
    assert process.row(parcel.message)["reason"] == "expired"


def test_an_invitation_lives_for_the_days_it_states(clerk: Rendered, samples: dict[str, Any]) -> None:
    send(clerk, samples["invitation"])
    message = clerk.message()
    assert message.expires_at - message.created_at == 7 * 86_400  # the longest of any message; Clerk states 30


@pytest.mark.parametrize(
    "changes", [{"to_email_address": None}, {"slug": None, "subject": None}, {"slug": 7, "body": 7}]
)
def test_a_mail_that_cannot_be_sent_is_a_422(clerk: Rendered, samples: dict[str, Any], changes: dict[str, Any]) -> None:
    sample = samples["verification_code"]
    assert resend(clerk, sample, sample["verify_at"], **changes).status == 422


@pytest.mark.parametrize("body", ["[]", '"x"', "null", "{}", '{"type":"email.created"}', '{"type":"emails.created"}'])
def test_other_bodies_send_nothing(clerk: Rendered, body: str) -> None:
    at = 1_795_660_030
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, f"m.{at}.{body}".encode(), hashlib.sha256)).decode()
    names = {"svix-id": "m", "svix-timestamp": f"{at}", "svix-signature": f"v1,{digest}"}
    answer = clerk.post("clerk", {"content-type": "application/json", **names}, body, at)
    assert answer.status in (200, 422)
    assert clerk.messages() == []
