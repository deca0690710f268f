"""The webhook function by its face: an event in, a response and a parcel out."""

import base64
import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from functions.webhook.app import build
from mailroom.aws.client import Aws
from mailroom.errors import ConfigurationError
from mailroom.model.message import Parcel
from tests.cloud import put
from tests.lambda_function import LambdaFunction

TOKEN = "Bearer local-logto-token"
QUEUES = {"CODES_QUEUE_URL": "codes", "NOTICES_QUEUE_URL": "notices"}


@pytest.fixture
def webhook(aws: Aws, environment: pytest.MonkeyPatch) -> LambdaFunction:
    put(aws, "webhooks/logto/authorization", f"{TOKEN}\nBearer the-next-one")
    put(aws, "webhooks/logto/acme/authorization", "Bearer local-acme-token")
    return LambdaFunction(partial(build, aws), aws)


def event(
    body: bytes | str | dict[str, Any], *, tenant: str = "", method: str = "POST", **headers: str
) -> dict[str, Any]:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    sent = {"authorization": TOKEN, "content_type": "application/json"} | headers
    return {
        "version": "2.0",
        "headers": {name.replace("_", "-"): value for name, value in sent.items() if value},
        "pathParameters": {"tenant": tenant} if tenant else None,
        "requestContext": {
            "timeEpoch": 1_800_000_000_000,
            "http": {"method": method, "path": "/webhooks/logto", "sourceIp": "203.0.113.9"},
        },
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }


def sign_in(**changes: Any) -> dict[str, Any]:
    return {"to": "ada@example.com", "type": "SignIn", "payload": {"code": "012345", "locale": "de"}} | changes


def ask(webhook: LambdaFunction, event: dict[str, Any]) -> tuple[int, str]:
    response = webhook(event)
    return response["statusCode"], response["body"]


def parcels(aws: Aws, webhook: LambdaFunction) -> list[Parcel]:
    found = []
    for variable in QUEUES:
        url = os.environ[variable]
        for message in aws.call("sqs", "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10}).get(
            "Messages", []
        ):
            found.append(Parcel.from_json(message["Body"]))
    return found


def test_an_accepted_message_is_queued_before_the_response(webhook: LambdaFunction, aws: Aws) -> None:
    status, body = ask(webhook, event(sign_in(ip="2001:db8::1")))
    (parcel,) = parcels(aws, webhook)
    message = parcel.message
    assert status == 200
    assert json.loads(body) == {"message_id": message.id, "status": "accepted"}
    assert (message.tenant, message.kind, message.to) == ("default", "sign-in-code", "ada@example.com")
    assert message.data["code"] == "012345"
    assert message.locales == ("de",)
    assert message.client_ip == "2001:db8::1"
    assert (message.created_at, message.expires_at) == (1_800_000_000, 1_800_000_600)
    assert parcel.lane == "codes"


@pytest.mark.parametrize(
    ("type_", "kind", "lane"),
    [
        ("SignIn", "sign-in-code", "codes"),
        ("Register", "sign-up-code", "codes"),
        ("ForgotPassword", "password-reset", "codes"),
        ("OrganizationInvitation", "organization-invitation", "notices"),
        ("Generic", "generic-code", "codes"),
        ("UserPermissionValidation", "permission-code", "codes"),
        ("BindNewIdentifier", "bind-identifier-code", "codes"),
        ("MfaVerification", "mfa-code", "codes"),
        ("BindMfa", "bind-mfa-code", "codes"),
        ("TypeOfTheFuture", "generic-code", "codes"),
    ],
)
def test_each_type_has_its_kind_and_lane(webhook: LambdaFunction, aws: Aws, type_: str, kind: str, lane: str) -> None:
    assert ask(webhook, event(sign_in(type=type_)))[0] == 200
    (parcel,) = parcels(aws, webhook)
    assert (parcel.message.kind, parcel.lane) == (kind, lane)


def test_only_to_and_type_are_needed(webhook: LambdaFunction, aws: Aws) -> None:
    assert ask(webhook, event({"to": "ada@example.com", "type": "OrganizationInvitation"}))[0] == 200
    assert ask(webhook, event({"to": "ada@example.com", "type": "Generic", "payload": None, "ip": None}))[0] == 200


def test_unknown_payload_fields_are_kept_as_data(webhook: LambdaFunction, aws: Aws) -> None:
    payload = {
        "link": "https://app.example.com/?a=1&b=2",
        "inviter": {"name": None},
        "custom": {"any": [1, True, None]},
        "": 1,
    }
    assert ask(webhook, event(sign_in(type="OrganizationInvitation", payload=payload, added="later")))[0] == 200
    (parcel,) = parcels(aws, webhook)
    assert {name: parcel.message.data[name] for name in payload} == payload


def test_an_invitation_has_the_organizations_logo_but_not_its_name(webhook: LambdaFunction, aws: Aws) -> None:
    payload = {
        "application": {
            "name": "acme-web",
            "displayName": "Acme",
            "branding": {"logoUrl": "https://example.com/a.png"},
        },
        "organization": {"name": "Analytical Engines", "branding": {"logoUrl": "https://example.com/o.png"}},
    }
    ask(webhook, event(sign_in(payload=payload)))
    ask(webhook, event(sign_in(payload=payload, type="OrganizationInvitation")))
    code, invitation = parcels(aws, webhook)
    assert code.message.brand == {"name": "Acme", "logo_url": "https://example.com/a.png"}
    assert invitation.message.brand == {"logo_url": "https://example.com/o.png"}


def test_an_application_of_logtos_own_gives_no_name(webhook: LambdaFunction, aws: Aws) -> None:
    for id_ in ("demo-app", "account-center", "device-demo-app"):
        ask(webhook, event(sign_in(payload={"code": "1", "application": {"id": id_, "name": "Live Preview"}})))
    for parcel in parcels(aws, webhook):
        assert (parcel.message.brand, parcel.message.data.get("application")) == ({}, None)


def test_a_console_test_has_no_identity_and_a_repeated_code_has_one(webhook: LambdaFunction, aws: Aws) -> None:
    for _ in range(2):
        ask(webhook, event(sign_in(type="Generic", payload={"code": "000000"})))
        ask(webhook, event(sign_in()))
    messages = [parcel.message for parcel in parcels(aws, webhook)]
    assert {m.identity for m in messages if m.kind == "generic-code"} == {""}
    assert len({m.identity for m in messages if m.kind == "sign-in-code"}) == 1
    assert len({m.id for m in messages}) == 4


def test_both_values_of_a_rotation_are_accepted_and_no_other(webhook: LambdaFunction) -> None:
    assert ask(webhook, event(sign_in(), authorization="Bearer the-next-one"))[0] == 200
    for wrong in ("", "bearer local-logto-token", TOKEN + " ", "local-logto-token", f"{TOKEN}\nBearer the-next-one"):
        assert ask(webhook, event(sign_in(), authorization=wrong))[0] == 401


def test_a_tenant_has_its_own_secret(webhook: LambdaFunction, aws: Aws) -> None:
    assert ask(webhook, event(sign_in(), tenant="acme", authorization="Bearer local-acme-token"))[0] == 200
    assert parcels(aws, webhook)[0].message.tenant == "acme"
    assert ask(webhook, event(sign_in(), tenant="acme"))[0] == 401
    assert ask(webhook, event(sign_in(), authorization="Bearer local-acme-token"))[0] == 401


@pytest.mark.parametrize("tenant", ["nobody", "Acme", "../acme", "acme/authorization", "x" * 64])
@pytest.mark.parametrize("authorization", ["Bearer wrong", "", TOKEN])
def test_an_unknown_tenant_gets_the_response_for_a_wrong_secret(
    webhook: LambdaFunction, tenant: str, authorization: str
) -> None:
    wrong = ask(webhook, event(sign_in(), tenant="acme", authorization="Bearer wrong"))
    assert wrong[0] == 401
    assert ask(webhook, event(sign_in(), tenant=tenant, authorization=authorization)) == wrong


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a function read each setting whenever it needs it."""
    monkeypatch.setenv("SETTINGS_CACHE_SECONDS", "-1")


def test_a_lost_permission_is_logged_while_cached_secrets_serve(no_cache: None, webhook: LambdaFunction) -> None:
    assert ask(webhook, event(sign_in()))[0] == 200
    call = webhook.aws.call

    def denied(service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        if service == "ssm":
            raise ConfigurationError("ssm", "AccessDeniedException")
        return call(service, operation, payload, **options)

    webhook.aws.call = denied  # type: ignore[method-assign]
    for code in ("2", "3"):
        assert ask(webhook, event(sign_in(payload={"code": code})))[0] == 200
    (line,) = webhook.logged("Cached settings stay in use: they could not be read again")
    assert line["code"] == "AccessDeniedException"


def test_unauthenticated_requests_cause_one_parameter_lookup(webhook: LambdaFunction, aws: Aws) -> None:
    calls = webhook.record_calls()
    for number in range(50):
        ask(webhook, event(sign_in(), tenant=f"tenant-{number}", authorization="Bearer wrong"))
    assert calls == ["ssm GetParametersByPath"]


def deep(levels: int) -> bytes:
    return b'{"to":"ada@example.com","type":"SignIn","payload":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


BAD = [
    pytest.param(event(sign_in(), method="GET"), 405, id="get"),
    pytest.param(event(b"", method="HEAD"), 405, id="head"),
    pytest.param(event(sign_in(), content_type="text/plain"), 415, id="content-type"),
    pytest.param(event(sign_in(), content_type=""), 415, id="no-content-type"),
    pytest.param(event(b""), 400, id="empty"),
    pytest.param(event(b'{"to":"ada@exam'), 400, id="truncated"),
    pytest.param(event(b'{"to":"a@example.com","to":"b@example.com","type":"SignIn"}'), 400, id="duplicate-keys"),
    pytest.param(event(b'{"to":"a@example.com","type":"SignIn","payload":{"x":NaN}}'), 400, id="nan"),
    pytest.param(event(b'{"to":"a@example.com","type":"\xff"}'), 400, id="not-utf-8"),
    pytest.param(event(rb'{"to":"a@example.com","type":"\ud800"}'), 400, id="lone-surrogate"),
    pytest.param(event(deep(40)), 400, id="deep"),
    pytest.param(event(deep(10_000)), 400, id="abyss"),
    pytest.param(event(b"[" * 1_000_000), 413, id="a-megabyte-of-nesting"),
    pytest.param(event(sign_in(payload={"x": "y" * 70_000})), 413, id="too-large"),
    pytest.param(event(b"[]"), 422, id="array"),
    pytest.param(event(b"null"), 422, id="null"),
    pytest.param(event({"type": "SignIn"}), 422, id="no-to"),
    pytest.param(event({"to": "ada@example.com"}), 422, id="no-type"),
    pytest.param(event(sign_in(to=None)), 422, id="to-null"),
    pytest.param(event(sign_in(to=["a@example.com"])), 422, id="to-list"),
    pytest.param(event(sign_in(to="a@example.com,b@example.com")), 422, id="two-recipients"),
    pytest.param(event(sign_in(payload=[1])), 422, id="payload-list"),
    pytest.param(event(sign_in(payload={"link": "javascript:alert(1)"})), 422, id="javascript-link"),
    pytest.param(event(sign_in(payload={"link": "https://example.com@evil.example/"})), 422, id="deceiving-link"),
    pytest.param(event(sign_in(payload={"link": "https://"})), 422, id="link-to-nowhere"),
    pytest.param(event(sign_in(payload={"link": "http://[::1"})), 422, id="broken-link"),
    pytest.param(event(sign_in(payload={"code": {"a": 1}})), 422, id="code-object"),
    pytest.param(event(sign_in(payload={"code": "1\r\nBcc: x"})), 422, id="code-with-line-break"),
    pytest.param(event(sign_in()) | {"body": "%%%"}, 400, id="broken-base64"),
]


@pytest.mark.parametrize(("bad", "status"), BAD)
def test_invalid_input_gets_one_plain_sentence_and_queues_nothing(
    webhook: LambdaFunction, aws: Aws, bad: dict[str, Any], status: int
) -> None:
    got, body = ask(webhook, bad)
    assert got == status
    assert body.endswith(".")
    assert len(body) < 100
    assert "example.com" not in body
    assert parcels(aws, webhook) == []


def test_header_names_may_come_in_any_case(webhook: LambdaFunction) -> None:
    odd = event(sign_in())
    odd["headers"] = {"AUTHORIZATION": TOKEN, "Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(webhook, odd)[0] == 200


def test_a_code_given_as_a_number_is_sent(webhook: LambdaFunction, aws: Aws) -> None:
    assert ask(webhook, event(sign_in(payload={"code": 123456})))[0] == 200
    assert parcels(aws, webhook)[0].message.data["code"] == "123456"


@pytest.mark.parametrize(
    ("networks", "status"),
    [
        ("203.0.113.0/24, 2001:db8::/32", 200),
        ("203.0.113.5/24", 200),  # host bits: the network around them
        ("2001:db8::1/32,203.0.113.9/32", 200),
        ("198.51.100.0/24", 403),
        ("", 200),
    ],
)
def test_only_the_listed_networks_may_call_the_webhook(
    webhook: LambdaFunction, aws: Aws, environment: pytest.MonkeyPatch, networks: str, status: int
) -> None:
    environment.setenv("ALLOWED_SOURCE_CIDRS", networks)
    assert ask(LambdaFunction(partial(build, aws), aws), event(sign_in()))[0] == status


@pytest.mark.parametrize("entry", ["999.1.1.1/8", "203.0.113.0/99", "/99", "::/129", "example.com"])
def test_a_malformed_network_is_named_in_the_log_and_nobody_is_let_in(
    webhook: LambdaFunction, aws: Aws, environment: pytest.MonkeyPatch, entry: str
) -> None:
    environment.setenv("ALLOWED_SOURCE_CIDRS", f"203.0.113.0/24, {entry}")
    webhook = LambdaFunction(partial(build, aws), aws)
    for _ in range(2):
        assert ask(webhook, event(sign_in())) == (503, "Email could not be sent. Please try again.")
    assert parcels(aws, webhook) == []
    (line, _) = webhook.logged()
    assert (line["level"], line["code"]) == ("ERROR", "malformed")
    assert f"AllowedSourceCidrs contains {entry}, which is not a network" in line["detail"]


def test_without_a_secret_nothing_is_accepted_and_the_log_names_it(webhook: LambdaFunction, aws: Aws) -> None:
    aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/development/webhooks/logto/authorization"})
    assert ask(webhook, event(sign_in()))[0] == 503
    assert "mailroom secrets set webhooks/logto/authorization" in webhook.log.getvalue()


def test_a_failing_queue_is_a_503_with_its_cause_in_the_log(
    webhook: LambdaFunction, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    for queue in aws.call("sqs", "ListQueues", {})["QueueUrls"]:
        aws.call("sqs", "DeleteQueue", {"QueueUrl": queue})
    assert ask(webhook, event(sign_in())) == (503, "Email could not be sent. Please try again.")
    lines = [json.loads(line) for line in (webhook.log.getvalue() + capsys.readouterr().out).splitlines()]
    assert [line for line in lines if line.get("level") == "ERROR" and line["party"] == "sqs"]
    assert [line for line in lines if "_aws" in line and "Misconfigured" in line]


def test_no_log_line_contains_private_data(webhook: LambdaFunction, capsys: pytest.CaptureFixture[str]) -> None:
    ask(
        webhook, event(sign_in(to="canary@example.com", payload={"code": "KX9876", "link": "https://canary.example/x"}))
    )
    ask(webhook, event(sign_in(to="canary@example.com,", payload={"code": "KX9876"})))
    ask(webhook, event(sign_in(), authorization="Bearer canary-key"))
    written = webhook.log.getvalue() + "".join(capsys.readouterr())
    assert written.count('"level":"INFO"') == 3
    for canary in ("canary", "KX9876", TOKEN):
        assert canary not in written
