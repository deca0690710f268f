"""Mail that its caller has rendered: requests to the real function, and parcels on the queues."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.sources import registry
from mailroom_ops.local.source_requests import SourceRequests
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process
from tests.sources.rendered import Rendered, content_of
from tests.sources.webhook import Webhook

ROOT = Path(__file__).parents[2]
NOW = 1_795_660_591.0
KEY = base64.b64encode(b"a key of the tests").decode()
BEARER = {"authorization": "Bearer local-rendered-token", "content-type": "application/json"}
MAIL = {"to": "ada@example.com", "subject": "Hello", "html": "<p>Hello <b>Ada</b></p>"}


@pytest.fixture
def rendered(aws: Aws, environment: pytest.MonkeyPatch) -> Rendered:
    put(aws, "webhooks/rendered/secret", BEARER["authorization"])
    return Rendered(aws)


def post(rendered: Rendered, at: float = NOW, **changes: Any) -> Any:
    body = {name: value for name, value in {**MAIL, **changes}.items() if value is not None}
    return rendered.post("rendered", BEARER, json.dumps(body), at)


def refusal(rendered: Rendered, **changes: Any) -> tuple[int, str]:
    answer = post(rendered, **changes)
    assert waiting(rendered.aws, "codes") == []
    return answer.status, answer.body


def signed(body: str, at: float = NOW, id_: str = "msg_1", key: str = KEY) -> dict[str, str]:
    text = f"{id_}.{at:.0f}.{body}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text, hashlib.sha256)).decode()
    names = {"webhook-id": id_, "webhook-timestamp": f"{at:.0f}", "webhook-signature": f"v1,{signature}"}
    return {"content-type": "application/json", **names}


# ---- content ----


def test_a_mail_is_queued_as_it_is_with_a_text_part(rendered: Rendered) -> None:
    answer = post(rendered, reply_to="Team <team@example.com>", locale="de")
    message = rendered.message()
    assert (answer.status, answer.json) == (200, {"message_id": message.id, "status": "accepted"})
    assert (message.kind, message.lane, message.to, message.locales) == ("rendered", Lane.CODES, MAIL["to"], ("de",))
    assert not message.supersedes
    content = content_of(message)
    assert (content.subject, content.html) == (MAIL["subject"], MAIL["html"])
    assert content.text == "Hello Ada\n"
    assert content.reply_to == Mailbox("team@example.com", "Team")
    assert message.expires_at == NOW + 600


def test_the_callers_own_text_part_is_kept(rendered: Rendered) -> None:
    post(rendered, text="Hello,\r\n  Ada\n")
    assert content_of(rendered.message()).text == "Hello,\n  Ada\n"


@pytest.mark.parametrize(
    "fields", [{"html": None, "text": "1 < 2\nhttps://a.example/x"}, {"html": "1 < 2\nhttps://a.example/x"}]
)
def test_text_alone_gets_an_html_part(rendered: Rendered, fields: dict[str, Any]) -> None:
    post(rendered, **fields)
    content = content_of(rendered.message())
    assert content.text == "1 < 2\nhttps://a.example/x"
    assert '1 &lt; 2\n<a href="https://a.example/x">' in content.html


def test_a_picture_alone_gets_its_subject_as_text(rendered: Rendered) -> None:
    post(rendered, html='<img src="https://a.example/x.png">')
    assert content_of(rendered.message()).text == "Hello\n"


def test_control_characters_leave_subject_and_bodies(rendered: Rendered) -> None:
    post(rendered, subject=" Hel\x00lo \u202eAda\t! \n", html="<p>a\x00\x0bb</p>\r\n<p>\tc</p>")
    content = content_of(rendered.message())
    assert (content.subject, content.html) == ("Hello Ada !", "<p>ab</p>\n<p>\tc</p>")


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"subject": "Hi\r\nBcc: eve@example.com"}, 422, "The subject has more than one line."),
        ({"subject": "Hi\u2028Bcc: eve@example.com"}, 422, "The subject has more than one line."),
        ({"subject": None}, 422, "The field subject is missing or not a text."),
        ({"subject": 7}, 422, "The field subject is missing or not a text."),
        ({"subject": "\x00"}, 422, "The subject is empty, or longer than 300 characters."),
        ({"subject": "x" * 301}, 422, "The subject is empty, or longer than 300 characters."),
        ({"reply_to": "a@example.com\r\nBcc: eve@example.com"}, 422, "The field reply_to is not a single mailbox"),
        ({"reply_to": "Ann\n <a@example.com>"}, 422, "The field reply_to is not a single mailbox"),
        ({"reply_to": "a@example.com, b@example.com"}, 422, "The field reply_to is not a single mailbox"),
        ({"reply_to": ["a@example.com"]}, 422, "The field reply_to is not a single mailbox"),
        ({"to": "a@example.com\r\nBcc: eve@example.com"}, 422, "The recipient is not a single valid email address."),
        ({"to": "a@example.com,b@example.com"}, 422, "The recipient is not a single valid email address."),
        ({"to": None}, 422, "The field to is missing, or has more than 10 recipients."),
        ({"to": []}, 422, "The field to is missing, or has more than 10 recipients."),
        ({"to": [f"r{n}@example.com" for n in range(11)]}, 422, "The field to is missing, or has more than 10"),
        ({"to": {"email": "a@example.com"}}, 422, "The recipient is not a single valid email address."),
        ({"html": None}, 422, "The mail has no content: give html, text or both."),
        ({"html": " \n", "text": ""}, 422, "The mail has no content: give html, text or both."),
        ({"html": ["<p>"]}, 422, "The field html is not a text."),
        ({"text": 7}, 422, "The field text is not a text."),
        ({"html": "<script>x</script>"}, 422, "The html contains the element script, which mail clients do not allow."),
        ({"html": "<a href='javascript:x'>a</a>"}, 422, "The html contains a link that is neither http"),
        ({"html": "<p>" + "x" * 200_000}, 413, "The mail is too large: html and text may have 200 kB together"),
        ({"html": "<p>x", "text": "я" * 100_000}, 413, "The mail is too large: html and text may have 200 kB together"),
        ({"attachments": [{"filename": "a.pdf"}]}, 422, "Attachments are not supported: link to the file instead."),
        ({"kind": "sign-in-cod"}, 422, "There is no such kind: use sign-in-code"),
        ({"kind": ["sign-in-code"]}, 422, "There is no such kind: use sign-in-code"),
        ({"id": "x" * 256}, 422, "The field id is not a text of up to 255 characters."),
        ({"id": ["x"]}, 422, "The field id is not a text of up to 255 characters."),
        ({"expires_in": 0}, 422, "The field expires_in is not a number of seconds, 1 to 604800."),
        ({"expires_in": "soon"}, 422, "The field expires_in is not a number of seconds, 1 to 604800."),
        ({"expires_in": 10**400}, 422, "The field expires_in is not a number of seconds, 1 to 604800."),
        ({"expires_in": float("1e9")}, 422, "The field expires_in is not a number of seconds, 1 to 604800."),
    ],
)  # fmt: skip
def test_an_invalid_mail_is_refused_with_one_sentence(
    rendered: Rendered, changes: dict[str, Any], status: int, sentence: str
) -> None:
    assert refusal(rendered, **changes)[0] == status
    assert refusal(rendered, **changes)[1].startswith(sentence)


@pytest.mark.parametrize("character", ["я", "🎉", '"', "\n"])
def test_the_largest_mail_goes_through_the_queues(rendered: Rendered, character: str) -> None:
    html = "<p>" + character * (199_000 // len(character.encode()))
    assert post(rendered, html=html, text="x").status == 200
    assert len(content_of(rendered.message()).html) >= 3


# ---- identity, time, kind ----


def test_the_same_content_within_a_minute_has_one_identity(rendered: Rendered) -> None:
    post(rendered)
    post(rendered, at=NOW + 5)
    post(rendered, at=NOW + 6, html="<p>Other</p>")
    first, again, other = rendered.messages()
    assert first.identity == again.identity != other.identity
    assert first.identity_seconds == 60


def test_an_id_makes_requests_one_mail_for_a_day(rendered: Rendered) -> None:
    post(rendered, id="mail-7")
    post(rendered, id="mail-7", at=NOW + 3600, html="<p>Other</p>")
    first, again = rendered.messages()
    assert first.identity == again.identity
    assert first.identity_seconds == 86_400


@pytest.mark.parametrize("created_at", [NOW - 30, (NOW - 30) * 1000, "2026-11-26T02:36:01Z"])
def test_with_a_time_of_the_caller_an_id_is_for_good(rendered: Rendered, created_at: Any) -> None:
    post(rendered, id=7, created_at=created_at, expires_in=90)
    post(rendered, id="7", created_at=created_at, at=NOW + 7200, expires_in=90)
    first, again = rendered.messages()
    assert first.id == again.id
    assert (first.created_at, first.expires_at) == (NOW - 30, NOW + 60)


@pytest.mark.parametrize(
    ("kind", "expected", "lane", "lifetime"),
    [
        ("sign-in-code", "sign-in-code", Lane.CODES, 600),
        ("magic-link", "sign-in-code", Lane.CODES, 600),
        ("organization-invitation", "organization-invitation", Lane.NOTICES, 86_400),
        ("rendered", "rendered", Lane.CODES, 600),
    ],
)
def test_a_kind_decides_on_lane_and_lifetime(
    rendered: Rendered, kind: str, expected: str, lane: Lane, lifetime: float
) -> None:
    post(rendered, kind=kind)
    message = rendered.message()
    assert (message.kind, message.lane, message.expires_at - NOW) == (expected, lane, lifetime)


def test_several_recipients_get_a_mail_each(rendered: Rendered) -> None:
    answer = post(rendered, to=["ada@example.com", "grace@example.com", "ada@example.com"])
    messages = rendered.messages()
    assert answer.json == {"message_ids": [message.id for message in messages], "status": "accepted"}
    assert [message.to for message in messages] == ["ada@example.com", "grace@example.com"]


# ---- form and field map ----


def test_a_form_is_read_like_json(rendered: Rendered) -> None:
    form = urlencode({**MAIL, "expires_in": "90", "subject": "Grüße", "text": ""})
    headers = BEARER | {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert rendered.post("rendered", headers, form, NOW).status == 200
    message = rendered.message()
    assert (content_of(message).subject, message.expires_at) == ("Grüße", NOW + 90)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"to=%ff", 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 101, 400),
        ("application/x-www-form-urlencoded", b"", 422),
        ("application/x-www-form-urlencoded", b"to=" + b"a" * 1024 * 1024, 413),
        ("application/json", b'{"to":' + b" " * 1024 * 1024 + b"1}", 413),
        ("application/json", b"[]", 422),
        ("application/json", b'{"html":"<a href="x">"}', 400),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/html", b"<p>", 415),
        ("", b"{}", 415),
    ],
)
def test_an_unreadable_body_is_refused(rendered: Rendered, content_type: str, body: bytes, status: int) -> None:
    assert rendered.post("rendered", BEARER | {"content-type": content_type}, body, NOW).status == status
    assert rendered.messages() == []


def test_a_tenant_names_its_own_fields(rendered: Rendered, aws: Aws) -> None:
    put(aws, "webhooks/rendered/acme/secret", "Bearer local-acme-token")
    names = {"to": ["data.address", "address"], "subject": "Betreff", "html": "data.content"}
    put(aws, "webhooks/rendered/acme/fields", json.dumps(names))
    body = {"Betreff": "Hallo", "data": {"address": "ada@example.com", "content": "<p>Hallo"}, "html": "ignored"}
    headers = BEARER | {"authorization": "Bearer local-acme-token"}
    assert rendered.post("rendered", headers, json.dumps(body), NOW, tenant="acme").status == 200
    message = rendered.message()
    assert (message.tenant, message.to, content_of(message).html) == ("acme", "ada@example.com", "<p>Hallo")


@pytest.mark.parametrize("setting", ["[]", "{", '{"an": "to"}', '{"to": 1}', '{"to": [1]}'])
def test_a_malformed_field_map_is_a_503_for_callers_with_the_secret(rendered: Rendered, aws: Aws, setting: str) -> None:
    put(aws, "webhooks/rendered/fields", setting)
    assert rendered.post("rendered", {}, "{}", NOW).status == 401
    assert post(rendered).status == 503
    (line,) = rendered.function.logged("Message not queued: a dependency failed")
    assert line["detail"].startswith("webhooks/rendered/fields must be a JSON object with some of to, subject")


# ---- authentication ----


def basic(password: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'mailroom:{password}'.encode()).decode()}"}


BODY = json.dumps(MAIL)
ZITADEL = hmac.digest(b"zitadel-key", f"{NOW:.0f}.{BODY}".encode(), hashlib.sha256).hex()


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        ("Bearer one-of-the-tokens", {"authorization": "Bearer one-of-the-tokens"}),
        ("Basic mailroom:pass:word", basic("pass:word")),
        (basic("password")["authorization"], basic("password")),
        ("X-Api-Key: key-of-the-caller", {"x-api-key": "key-of-the-caller"}),
        (f"whsec_{KEY}", signed(BODY)),
        ("zitadel:zitadel-key", {"zitadel-signature": f"t={NOW:.0f},v1={ZITADEL}"}),
    ],
    ids=["bearer", "basic", "basic, encoded", "header", "signature", "zitadel"],
)
def test_the_form_of_the_secret_decides_how_a_caller_authenticates(
    rendered: Rendered, aws: Aws, secret: str, headers: dict[str, str]
) -> None:
    put(aws, "webhooks/rendered/acme/secret", f"Bearer of-the-rotation\n{secret}")
    json_type = {"content-type": "application/json"}
    assert rendered.post("rendered", json_type | headers, BODY, NOW, tenant="acme").status == 200
    wrong = {name: f"x{value[1:]}" for name, value in headers.items()}
    for refused in ({}, wrong, dict.fromkeys(headers, ""), {name: value[:-1] for name, value in headers.items()}):
        assert rendered.post("rendered", json_type | refused, BODY, NOW, tenant="acme").status == 401


def test_a_signed_id_is_the_key_of_the_mail(rendered: Rendered, aws: Aws) -> None:
    put(aws, "webhooks/rendered/secret", f"whsec_{KEY}")
    for at in (NOW, NOW + 1800):
        assert rendered.post("rendered", signed(BODY, at), BODY, at).status == 200
    first, again = rendered.messages()
    assert first.identity == again.identity
    assert "msg_1" in first.identity


@pytest.mark.parametrize("at", [NOW + 301, NOW - 301])
def test_a_stale_signature_is_refused(rendered: Rendered, aws: Aws, at: float) -> None:
    put(aws, "webhooks/rendered/secret", f"whsec_{KEY}\nzitadel:zitadel-key")
    headers = signed(BODY) | {"zitadel-signature": f"t={NOW:.0f},v1={ZITADEL}"}
    assert rendered.post("rendered", headers, BODY, at).status == 401


def test_a_strangers_tenants_get_one_answer_and_one_lookup(rendered: Rendered) -> None:
    calls = rendered.function.record_calls()
    names = ("acme", "nobody", "Acme", "../acme", "x" * 99)
    answers = [rendered.post("rendered", BEARER, BODY, NOW, tenant=tenant) for tenant in names]
    assert {(answer.status, answer.body) for answer in answers} == {(401, "This request could not be authenticated.")}
    assert calls == ["ssm GetParametersByPath"]
    assert "secret" not in json.dumps([line["sentence"] for line in rendered.function.logged("Refused")])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_post_is_served(rendered: Rendered, method: str) -> None:
    assert rendered.post("rendered", BEARER, BODY, NOW, method=method).status == 405


def test_a_source_of_the_webhook_function_is_not_served(rendered: Rendered) -> None:
    assert rendered.post("logto", BEARER, BODY, NOW).status == 404


def test_while_the_queue_is_away_the_caller_gets_a_503(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    call = rendered.aws.call

    def failing(service: str, *arguments: Any, **options: Any) -> Any:
        if service == "sqs":
            raise TemporaryFailure("sqs", "away")
        return call(service, *arguments, **options)

    monkeypatch.setattr(rendered.aws, "call", failing)
    answer = post(rendered)
    assert (answer.status, answer.body) == (503, "Email could not be sent. Please try again.")


def test_no_content_and_no_address_is_in_the_log(rendered: Rendered) -> None:
    post(rendered, subject="CANARY subject", html="<p>CANARY</p>", to="canary@example.com", id="CANARY")
    post(rendered, subject="CANARY\n subject")
    post(rendered, to="canary@")
    assert "canary" not in rendered.function.log.getvalue().lower()
    (line,) = rendered.function.logged("Accepted")
    assert line["kind"] == "rendered"


# ---- through deliver ----


def test_a_mail_arrives_as_its_caller_wrote_it(rendered: Rendered, aws: Aws, sandbox: Sandbox) -> None:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Acme <no-reply@example.com>"}')
    body = json.loads((ROOT / "events" / "rendered-json.json").read_text())
    body["requestContext"]["timeEpoch"] = time.time() * 1000
    assert rendered.send(body).status == 200
    (parcel,) = rendered.parcels()
    Process(aws).receive(parcel)
    (mail,) = sandbox.inbox.all()
    sent = json.loads(body["body"])
    assert (mail.subject, mail.html, mail.to) == (sent["subject"], sent["html"], sent["to"])
    assert "482913" in mail.text


@pytest.mark.parametrize("name", registry.SEALED)
def test_the_event_of_a_source_is_accepted_with_the_local_secrets(rendered: Rendered, name: str) -> None:
    for setting, value in yaml.safe_load((ROOT / "ops/mailroom_ops/local/secrets.yaml").read_text("utf-8")).items():
        put(rendered.aws, setting, value)
    request = SourceRequests(ROOT, ROOT / "ops/mailroom_ops/local/secrets.yaml").make(name, NOW)
    assert rendered.post(name, request.headers, request.body, NOW).status == 200
    assert rendered.message().source == name


@pytest.mark.parametrize("name", registry.SEALED)
def test_a_module_declares_the_source_of_its_name(name: str) -> None:
    source = registry.load(name, registry.SEALED)
    assert source.name == name
    assert {*source.secrets} <= {*source.required, *source.optional}


@pytest.mark.parametrize("name", registry.SEALED)
def test_a_source_without_settings_is_a_503_and_the_log_has_the_command(
    aws: Aws, environment: pytest.MonkeyPatch, name: str
) -> None:
    function = Rendered(aws)
    assert function.post(name, {"content-type": "application/json"}, b"{}", NOW).status == 503
    (line,) = function.function.logged("Message not queued: a dependency failed")
    assert f"mailroom secrets set webhooks/{name}/" in line["detail"]


def test_the_webhook_function_has_no_route_to_it(rendered: Rendered) -> None:
    assert Webhook(rendered.aws).post("rendered", BEARER, BODY, NOW).status == 404
