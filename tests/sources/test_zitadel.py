"""Zitadel's HTTP notification provider: its recorded requests and signatures, to the real function."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.kinds import Lane
from mailroom.model.message import Message
from mailroom.rendering.outside_html import find_active_content
from tests.cloud import put
from tests.sources.rendered import Rendered, content_of

KEY = "zitadel-test-signing-key-0001"
HEADER = "X-Mailroom-Key: key-of-an-older-zitadel"
NOW = 1_795_660_591.0
KINDS = {
    "domain_claimed": ("security-notice", Lane.NOTICES),
    "init_code": ("sign-up-code", Lane.CODES),
    "invite_code": ("organization-invitation", Lane.NOTICES),
    "older_version_from_docs": ("sign-up-code", Lane.CODES),
    "otp_email_session": ("mfa-code", Lane.CODES),
    "password_changed": ("security-notice", Lane.NOTICES),
    "password_reset": ("password-reset", Lane.CODES),
    "passwordless_registration": ("bind-mfa-code", Lane.CODES),
    "verify_email": ("email-confirmation", Lane.CODES),
    "verify_email_html_in_name": ("email-confirmation", Lane.CODES),
}


@pytest.fixture
def zitadel(aws: Aws, environment: pytest.MonkeyPatch) -> Rendered:
    put(aws, "webhooks/zitadel/secret", f"{KEY}\n{HEADER}")
    return Rendered(aws)


@pytest.fixture
def samples(contracts: Path) -> dict[str, Any]:
    folder = contracts / "auth-servers" / "zitadel" / "samples"
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def send(zitadel: Rendered, sample: dict[str, Any], **template: Any) -> Message:
    """Send a sample with changed templateData, authenticated by the static header."""
    body = json.loads(sample["request"]["body"])
    body["templateData"] |= template
    headers = {"content-type": "application/json", "x-mailroom-key": HEADER.partition(": ")[2]}
    assert zitadel.post("zitadel", headers, json.dumps(body), NOW).status == 200
    return zitadel.message()


@pytest.mark.parametrize("name", KINDS)
def test_its_texts_become_one_mail(zitadel: Rendered, samples: dict[str, Any], name: str) -> None:
    sample = samples[name]
    expected = sample["expect"]
    headers = dict(sample["request"]["headers"])
    if sample["signing_key"] is None:  # an older server, which does not sign
        headers |= {"X-Mailroom-Key": HEADER.partition(": ")[2]}
    answer = zitadel.post("zitadel", headers, sample["request"]["body"], sample.get("verify_at") or NOW)
    message = zitadel.message()
    assert (answer.status, answer.json) == (200, {"message_id": message.id, "status": "accepted"})
    assert (message.kind, message.lane) == KINDS[name]
    assert message.to == expected["to"]
    content = content_of(message)
    assert expected["link"] in content.text
    assert expected["link"].replace("&", "&amp;") in content.html
    if "subject" in expected:
        assert content.subject == expected["subject"]
        assert expected["greeting"] in content.text
    assert (expected["footer"] or "Footer") in content.text + ("" if expected["footer"] else "Footer")
    assert "Footer" not in content.text + content.html
    assert find_active_content(content.html) == ""
    lifetime = expected["expires_in_s"] or (600 if message.lane is Lane.CODES else 86_400)
    assert message.expires_at == message.created_at + lifetime


def test_signatures_are_judged_as_recorded(
    zitadel: Rendered, aws: Aws, contracts: Path, samples: dict[str, Any]
) -> None:
    recorded = json.loads((contracts / "auth-servers" / "zitadel" / "vectors.json").read_text("utf-8"))["vectors"]
    assert len(recorded) > 10
    for vector in recorded:
        put(aws, "webhooks/zitadel/secret", vector["signing_key"])
        headers = {"content-type": "application/json", "zitadel-signature": vector["header"]}
        body = vector["body"] if "body" in vector else samples[vector["sample"]]["request"]["body"]
        status = Rendered(aws).post("zitadel", headers, body, vector["verify_at"]).status
        assert status == (200 if vector["expect"] == "valid" else 401), vector["id"]


def test_markup_in_a_name_stays_text(zitadel: Rendered, samples: dict[str, Any]) -> None:
    message = send(zitadel, samples["verify_email_html_in_name"])
    content = content_of(message)
    assert "Ada O&#x27;Brien &lt;script&gt;&amp;" in content.html
    assert "<script" not in content.html
    assert "Hello Ada O'Brien <script>&," in content.text


def test_markup_of_zitadels_own_texts_becomes_line_breaks(zitadel: Rendered, samples: dict[str, Any]) -> None:
    text = "Bitte bestätige sie <br>(Code <strong>0M53RF</strong>).<BR/> Sonst ignoriere diese E-Mail."
    content = content_of(send(zitadel, samples["verify_email"], text=text))
    assert "Bitte bestätige sie\n(Code 0M53RF).\nSonst ignoriere diese E-Mail." in content.text
    assert "Bitte bestätige sie\n(Code 0M53RF).\nSonst" in content.html


def test_a_name_becomes_no_link(zitadel: Rendered, samples: dict[str, Any]) -> None:
    sample = json.loads(json.dumps(samples["verify_email"]))
    body = json.loads(sample["request"]["body"])
    body["args"] |= {"displayName": "Win at evil.example", "userName": "ada@acme.example.com"}
    sample["request"]["body"] = json.dumps(body)
    text = "Win at evil.example, sign in as ada@acme.example.com at login.example.com."
    content = content_of(send(zitadel, sample, text=text, greeting="Hello Win at evil.example,"))
    assert "evil.example" not in content.text + content.html
    assert "ada@acme.example.com at login.example.com" in content.text


def test_colors_and_logo_are_those_of_the_organization(zitadel: Rendered, samples: dict[str, Any]) -> None:
    colors = {"primaryColor": "#ffee00", "backgroundColor": "#102030", "fontColor": '"><script>'}
    content = content_of(send(zitadel, samples["password_reset"], logoUrl="https://a.example/logo.png", **colors))
    assert "background:#ffee00;color:#000000" in content.html
    assert "background:#102030;color:#18181b" in content.html
    assert 'src="https://a.example/logo.png"' in content.html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", None, "http://user@a.example/", 7])
def test_a_link_that_is_not_one_is_left_out(zitadel: Rendered, samples: dict[str, Any], url: Any) -> None:
    content = content_of(send(zitadel, samples["password_reset"], url=url))
    assert "<a " not in content.html
    assert "Code: 7H2WXP" in content.text


@pytest.mark.parametrize("expiry", [10**400, -1, "300000000000", None, {}, 0, 1e300])
def test_an_odd_expiry_counts_as_none(zitadel: Rendered, samples: dict[str, Any], expiry: Any) -> None:
    sample = json.loads(json.dumps(samples["otp_email_session"]))
    body = json.loads(sample["request"]["body"])
    body["args"]["expiry"] = expiry
    sample["request"]["body"] = json.dumps(body)
    message = send(zitadel, sample)
    assert message.expires_at - message.created_at == 600


def test_two_codes_of_one_user_are_both_live(zitadel: Rendered, samples: dict[str, Any]) -> None:
    assert send(zitadel, samples["otp_email_session"]).dead_before is None


@pytest.mark.parametrize("body", [{}, {"templateData": []}, {"templateData": {"subject": 7}}, {"contextInfo": {}}])
def test_a_body_of_another_form_is_a_422(zitadel: Rendered, body: dict[str, Any]) -> None:
    headers = {"content-type": "application/json", "x-mailroom-key": HEADER.partition(": ")[2]}
    assert zitadel.post("zitadel", headers, json.dumps(body), NOW).status == 422
    assert zitadel.messages() == []


def test_without_a_signature_or_secret_a_request_is_refused(zitadel: Rendered, samples: dict[str, Any]) -> None:
    assert zitadel.replay("zitadel", samples["init_code"], NOW).status == 401
    assert zitadel.replay("zitadel", samples["verify_email"], NOW + 400).status == 401
