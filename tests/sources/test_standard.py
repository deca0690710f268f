"""Any sender of Standard Webhooks: recorded signatures and events, to the real function."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.kinds import Lane
from tests.cloud import put
from tests.sources.rendered import Rendered, content_of
from tests.sources.webhook import Answer

KEY = b"a key of the tests"
NOW = 1_795_660_030.0
TO = {"to": "ada@example.com"}
CODE = {**TO, "code": "123456"}


@pytest.fixture
def standard(aws: Aws, environment: pytest.MonkeyPatch) -> Rendered:
    put(aws, "webhooks/standard/secret", f"whsec_{base64.b64encode(KEY).decode()}")
    return Rendered(aws)


def send(standard: Rendered, body: Any, at: float = NOW, id_: str = "msg_1") -> Answer:
    sent = json.dumps(body)
    signature = base64.b64encode(hmac.digest(KEY, f"{id_}.{at:.0f}.{sent}".encode(), hashlib.sha256)).decode()
    headers = {"webhook-id": id_, "webhook-timestamp": f"{at:.0f}", "webhook-signature": f"v1,{signature}"}
    return standard.post("standard", {"content-type": "application/json", **headers}, sent, at)


def event(data: Any, type_: str = "mail.requested", **fields: Any) -> dict[str, Any]:
    return {"type": type_, "timestamp": "2026-11-26T02:26:40Z", "data": data, **fields}


def test_recorded_signatures_are_judged_as_recorded(standard: Rendered, aws: Aws, contracts: Path) -> None:
    path = contracts / "auth-servers" / "standard-webhooks" / "vectors.json"
    recorded = [vector for vector in json.loads(path.read_text("utf-8"))["vectors"] if vector["scheme"] == "v1"]
    assert len(recorded) > 20
    for vector in recorded:
        put(aws, "webhooks/standard/secret", vector["secret"])
        headers = {"content-type": "application/json", **vector["headers"]}
        status = Rendered(aws).post("standard", headers, vector["body"], vector["verify_at"]).status
        assert (status != 401) is (vector["expect"] == "valid"), vector["id"]


@pytest.mark.parametrize(
    ("type_", "data", "kind", "lane"),
    [
        ("mail.requested", {**CODE, "kind": "sign-in-code"}, "sign-in-code", Lane.CODES),
        ("sign-up-code", CODE, "sign-up-code", Lane.CODES),
        ("otp", CODE, "generic-code", Lane.CODES),
        ("magic-link", {**TO, "link": "https://a.example/x"}, "sign-in-code", Lane.CODES),
        ("x", {**TO, "kind": "notification", "title": "Hello", "paragraphs": "Text"}, "notification", Lane.NOTICES),
        ("x", {**TO, "kind": "security-notice", "event": "passkey-added"}, "security-notice", Lane.NOTICES),
        ("organization-invitation", {**TO, "organization": "Acme"}, "organization-invitation", Lane.NOTICES),
    ],
)  # fmt: skip
def test_data_becomes_a_mail_of_its_kind(
    standard: Rendered, type_: str, data: dict[str, Any], kind: str, lane: Lane
) -> None:
    assert send(standard, event(data, type_)).status == 200
    message = standard.message()
    assert (message.kind, message.lane, message.to, message.content) == (kind, lane, "ada@example.com", None)
    assert (message.data.get("code"), message.data.get("link")) == (data.get("code"), data.get("link"))
    assert "to" not in message.data


def test_the_id_and_the_timestamp_identify_the_mail(standard: Rendered) -> None:
    body = event({**CODE, "locale": ["de-AT", "de"], "client_ip": "203.0.113.7", "expires_in": 120})
    assert [send(standard, body, at).status for at in (NOW, NOW + 7200)] == [200, 200]
    first, again = standard.messages()
    assert first == again
    assert (first.created_at, first.expires_at) == (NOW - 30, NOW + 90)
    assert (first.locales, first.client_ip) == (("de-AT", "de"), "203.0.113.7")


def test_without_a_timestamp_the_id_holds_for_a_day(standard: Rendered) -> None:
    for at in (NOW, NOW + 7200):
        assert send(standard, {"type": "sign-in-code", "data": CODE}, at).status == 200
    first, again = standard.messages()
    assert first.identity == again.identity
    assert first.identity_seconds == 86_400


@pytest.mark.parametrize("expires_at", ["2026-11-26T02:30:00Z", 1_795_660_200, 1_795_660_200_000])
def test_a_true_expiry_is_kept(standard: Rendered, expires_at: Any) -> None:
    send(standard, event({**CODE, "expires_at": expires_at}))
    assert standard.message().expires_at == 1_795_660_200


def test_a_subject_with_html_is_a_rendered_message(standard: Rendered) -> None:
    data = {**TO, "subject": "Hello", "html": "<p>Hello</p>", "reply_to": "team@example.com"}
    assert send(standard, event(data)).status == 200
    message = standard.message()
    assert (message.kind, content_of(message).html, message.data.get("subject")) == ("rendered", "<p>Hello</p>", None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"type": "x"}, "The field data is missing, or is not an object."),
        ([], "The field data is missing, or is not an object."),
        (event(TO), "The data has no kind: give one, such as sign-in-code."),
        (event({**CODE, "kind": "sign-in-cod"}), "kind: There is no such kind. Did you mean sign-in-code?"),
        (event({**CODE, "button": {"url": "https://a.example", "x1": 1}}), "data: There is no such field."),
        (event({"code": "1"}), "to: This field is required."),
        (event({**CODE, "to": "a@example.com,b@example.com"}), "to: Give exactly one email address"),
        (event({**TO, "kind": "sign-in-code"}), "data: Give a code or a link"),
        (event({**TO, "kind": "notification"}), "data: Give a title or paragraphs"),
        (event({**CODE, "link": "javascript:x"}), "data.link: Give an http or https address"),
        (event({**TO, "subject": "a\nb", "text": "x"}), "The subject has more than one line."),
    ],
)
def test_an_invalid_event_is_a_422_with_its_reason(standard: Rendered, body: Any, sentence: str) -> None:
    answer = send(standard, body)
    assert answer.status == 422
    assert answer.body.startswith(sentence)
    assert standard.messages() == []


def test_an_unsigned_request_is_refused(standard: Rendered) -> None:
    headers = {"content-type": "application/json"}
    assert standard.post("standard", headers, json.dumps(event(CODE)), NOW).status == 401
    assert send(standard, event(CODE), NOW, id_="").status == 401
