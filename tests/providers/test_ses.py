"""SES: requests against botocore's, answers of moto, and answers of AWS."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import create_loader

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email, InlineImage
from mailroom.model.mailbox import Mailbox
from mailroom.network.http import Answer, Url
from mailroom.network.sigv4 import Credentials, sign
from mailroom.providers import _client, load
from mailroom.providers.ses import Ses
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.provider import UNVERIFIED
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses as SesStub
from tests.cloud import moto_url
from tests.pictures import base64
from tests.transports import request_of

PATH = "/v2/email/outbound-emails"
ENDPOINT_ID = "abc123.456def"
SIGNED_BY_BOTOCORE = json.loads((Path(__file__).parents[1] / "network" / "sigv4a_requests.json").read_text())
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_REGION": "eu-west-1"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(providers=[SesStub(moto_url())]) as opened:
        yield opened


@pytest.fixture
def provider(sandbox: Sandbox) -> Ses:
    return Ses.from_settings(sandbox.settings("ses"))


# --- The wire


NOT_SENT = {
    "FeedbackForwardingEmailAddress": "reports come by events",
    "FeedbackForwardingEmailAddressIdentityArn": "reports come by events",
    "FromEmailAddressIdentityArn": "the domain belongs to the account that sends",
    "ListManagementOptions": "auth mail has no unsubscribing",
}
PICTURE = InlineImage("logo.png@0123456789ab", "image/png", base64(bytes(range(256))))
MAILS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unicode": {
        "subject": "Ihr Code ✓",
        "from_": Mailbox("no-reply@bücher.example", 'Böx, "Acme" & 中文'),
        "to": "a@ü.example",
    },
    "no reply address": {"reply_to": None},
    "text only": {"html": ""},
    "html only": {"text": ""},
    "no tags": {"tags": {}},
    "a picture": {"images": (PICTURE,)},
    "line breaks": {"text": "a\r\nb\n\n\u2028c", "html": "<p>\n</p>"},
}


class Recorded:
    """A transport that stores the last request, and answers as SES does."""

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        self.sent = request_of(method, url, headers, content)
        return Answer(200, {}, b'{"MessageId": "0100"}')

    def body(self) -> Any:
        return json.loads(self.sent.content)


def by_botocore(body: Mapping[str, Any], region: str, at: datetime) -> AWSPreparedRequest:
    """Return the request that botocore sends with the same parameters, in the same second."""
    client = boto3.Session().client("sesv2", region_name=region)
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(request)
        return BotocoreAnswer(str(request.url), 200, HTTPHeaders(), None)

    client.meta.events.register("before-send.sesv2.SendEmail", answer)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_: at)
        client.send_email(**_with_bytes(body))
    return sent[0]


def _with_bytes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request whose attachments are bytes, as botocore takes them."""
    changed: dict[str, Any] = json.loads(json.dumps(body))
    for file in changed["Content"]["Simple"].get("Attachments", []):
        file["RawContent"] = b64decode(file["RawContent"], validate=True)
    return changed


class BotocoreAnswer(AWSResponse):
    """SES's answer to a successful request, without a network."""

    @property
    def content(self) -> bytes:
        return b'{"MessageId": "0100"}'


@pytest.mark.parametrize("token", ["", "session/token+with=signs"])
@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("name", MAILS)
def test_a_request_is_the_one_botocore_makes(
    name: str, region: str, token: str, email: Email, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    recorded, mail = Recorded(), replace(email, **MAILS[name])
    provider = Ses(region, recorded, configuration_set="tx", tenant_name="acme")

    assert provider.send(mail, "key-1").id == "0100"

    ours = recorded.sent
    at = datetime.strptime(ours.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    theirs = by_botocore(recorded.body(), region, at)
    assert (ours.method, str(ours.url)) == (theirs.method, theirs.url)
    assert recorded.body() == json.loads(cast(bytes, theirs.body))
    signed = sign(signed_headers(theirs), cast(bytes, theirs.body), "ses", region, role(token), at.timestamp(), PATH)
    assert signed["authorization"] == text(theirs.headers["Authorization"])
    assert ours.headers["authorization"].split(", ")[:1] == text(theirs.headers["Authorization"]).split(", ")[:1]
    assert ours.headers.get("x-amz-security-token", "") == text(theirs.headers.get("X-Amz-Security-Token", ""))


def signed_headers(request: AWSPreparedRequest) -> dict[str, str]:
    """Return the headers that botocore has signed, without those that the signature adds."""
    names = text(request.headers["Authorization"]).split("SignedHeaders=")[1].split(",")[0].split(";")
    values = {"host": urlsplit(str(request.url)).netloc, **{k.lower(): text(v) for k, v in request.headers.items()}}
    return {name: values[name] for name in names if not name.startswith("x-amz-")}


def text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def role(token: str) -> Credentials:
    return Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], token)


def test_every_parameter_that_ses_has_is_sent_or_left_out_for_a_reason(email: Email) -> None:
    recorded = Recorded()
    provider = Ses("eu-west-1", recorded, configuration_set="tx", tenant_name="acme", endpoint_id=ENDPOINT_ID)
    provider.send(email, "key-1")

    members = set(create_loader().load_service_model("sesv2", "service-2")["shapes"]["SendEmailRequest"]["members"])
    assert recorded.body().keys() | NOT_SENT.keys() == members
    assert not recorded.body().keys() & NOT_SENT.keys()


def test_settings_that_are_not_set_send_no_parameter(email: Email) -> None:
    recorded = Recorded()
    Ses("eu-west-1", recorded).send(email, "key-1")

    assert not {"ConfigurationSetName", "TenantName", "EndpointId"} & recorded.body().keys()


@pytest.mark.parametrize("signed", SIGNED_BY_BOTOCORE, ids=lambda signed: signed["region"])
def test_a_multi_region_endpoint_is_called_where_botocore_calls_it(signed: dict[str, Any], email: Email) -> None:
    recorded = Recorded()
    Ses(signed["region"], recorded, endpoint_id=ENDPOINT_ID).send(email, "key-1")

    headers = recorded.sent.headers
    assert (str(recorded.sent.url), recorded.body()["EndpointId"]) == (signed["url"], ENDPOINT_ID)
    assert headers["x-amz-region-set"] == signed["headers"]["x-amz-region-set"]
    assert headers["authorization"].startswith("AWS4-ECDSA-P256-SHA256 Credential=AKIAEXAMPLE/")


def test_a_mail_reaches_the_inbox_through_a_multi_region_endpoint(sandbox: Sandbox, email: Email) -> None:
    provider = Ses.from_settings({**sandbox.settings("ses"), "endpoint_id": f" {ENDPOINT_ID}\n"})

    receipt = provider.send(email, "key-1")

    assert [mail.id for mail in sandbox.inbox.all()] == [receipt.id]


@pytest.mark.parametrize("endpoint_id", ["abc123.", "a/b", "evil.example.com/?", "ABC", "arn:aws:ses:1"])
def test_a_malformed_endpoint_id_is_named(endpoint_id: str) -> None:
    with pytest.raises(ConfigurationError, match=r"providers/ses\.ireland/endpoint_id"):
        Ses.from_settings({"endpoint_id": endpoint_id}, "ses.ireland")


def test_opens_and_clicks_are_not_tracked(email: Email) -> None:
    recorded = Recorded()
    Ses("eu-west-1", recorded).send(email, "key-1")

    overrides = recorded.body()["ConfigurationOverrides"]
    assert overrides == {"Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}}


def test_the_ses_parameters_equal_those_of_a_recorded_request(contracts: Path) -> None:
    capture = json.loads((contracts / "ses" / "sendemail-captured-from-botocore.json").read_text())
    welcome = Email(
        from_=Mailbox("no-reply@example.com", "Acme Böx"),
        to="ada@example.org",
        subject="Hello ✓",
        html="<p>hi</p>",
        text="hi",
        reply_to=Mailbox("help@example.com"),
        headers={"X-Entity-Ref-ID": "123"},
        tags={"kind": "welcome"},
    )
    recorded = Recorded()

    assert Ses("us-east-1", recorded, configuration_set="tx").send(welcome, "key-1").id == "0100"

    theirs, ours = json.loads(capture["http"]["body"]), recorded.body()
    assert (recorded.sent.method, str(recorded.sent.url)) == (capture["http"]["method"], capture["http"]["url"])
    # The API requires ASCII in a mailbox; Mailroom sends no name of the recipient.
    assert (theirs.pop("FromEmailAddress"), ours.pop("FromEmailAddress")) == (
        "Acme Böx <no-reply@example.com>",
        "=?utf-8?b?QWNtZSBCw7Z4?= <no-reply@example.com>",
    )
    assert theirs["Destination"] == {"ToAddresses": [f"Ada <{ours['Destination'].pop('ToAddresses')[0]}>"]}
    assert ours["Content"]["Simple"]["Headers"].pop(0) == {"Name": "Content-Language", "Value": "en"}
    assert ours.pop("ConfigurationOverrides"), "the recorded request overrides nothing"
    assert ours == theirs | {"Destination": {}}


def test_a_mail_with_every_field_reaches_the_inbox_through_moto(sandbox: Sandbox, provider: Ses, email: Email) -> None:
    written = replace(
        email,
        from_=Mailbox("no-reply@example.com", 'Böx, "Acme" & 中文有限公司'),
        to="ada@bücher.example",
        subject="Ihr Code ✓",
        headers={"X-Entity-Ref-ID": "123", "X-Name": "Ädele"},
        tags={"message_id": "0123456789ab", "tenant": "Böx & Co", "kind": "sign-in-code", "empty": ""},
    )

    receipt = provider.send(written, "key-1")

    [mail] = sandbox.inbox.all()
    assert mail.id == receipt.id
    assert mail.from_ == f"{written.from_.name} <no-reply@example.com>"
    assert (mail.to, mail.subject) == ("ada@xn--bcher-kva.example", "Ihr Code ✓")
    assert (mail.text, mail.html) == (written.text, written.html)
    assert (mail.message_id, mail.tenant, mail.kind) == ("0123456789ab", "B_x___Co", "sign-in-code")
    assert mail.headers == {"Content-Language": "de", "X-Entity-Ref-ID": "123", "X-Name": "Ädele"}


def test_moto_refuses_a_sender_that_is_not_verified(sandbox: Sandbox, provider: Ses, email: Email) -> None:
    with pytest.raises(ConfigurationError) as failure:
        provider.send(replace(email, from_=Mailbox(f"hi@{UNVERIFIED}")), "key-1")

    assert failure.value.code == "unverified_sender"
    assert sandbox.inbox.all() == []


@pytest.mark.parametrize("to", ["jürgen@example.org", "a@example.org,b@example.org"])
def test_a_recipient_that_ses_cannot_address_is_refused_without_a_request(
    sandbox: Sandbox, provider: Ses, email: Email, to: str
) -> None:
    with pytest.raises(PermanentFailure):
        provider.send(replace(email, to=to), "key-1")

    assert sandbox.requests["ses"] == 0


# --- Answers


def reply(status: int, name: str, message: str) -> Fault:
    headers = {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/coral/"}
    return Fault(Kind.REPLY, status, body=json.dumps({"message": message}), headers=headers)


@pytest.mark.parametrize(
    ("fault", "outcome", "code", "wait"),
    [
        (
            reply(403, "UnrecognizedClientException", "The security token is invalid."),
            ConfigurationError,
            "bad_key",
            None,
        ),
        (reply(403, "ExpiredTokenException", "The security token has expired."), ConfigurationError, "bad_key", None),
        (reply(403, "InvalidSignatureException", "Signature expired."), ConfigurationError, "bad_key", None),
        (
            reply(403, "AccessDeniedException", "not authorized to perform ses:SendEmail"),
            ConfigurationError,
            "forbidden",
            None,
        ),
        (
            reply(
                400, "MessageRejected", "Email address is not verified. The following identities failed: a@example.com"
            ),
            ConfigurationError,
            "unverified_sender",
            None,
        ),
        (reply(400, "MailFromDomainNotVerifiedException", "MAIL FROM"), ConfigurationError, "unverified_sender", None),
        (reply(400, "MessageRejected", "Message contained a virus."), PermanentFailure, "refused", None),
        (reply(400, "BadRequestException", "Missing final '@domain'"), PermanentFailure, "invalid", None),
        (reply(400, "AccountSuspendedException", "Suspended."), ConfigurationError, "suspended", None),
        (reply(400, "SendingPausedException", "Paused."), ConfigurationError, "suspended", None),
        (
            reply(404, "NotFoundException", "Configuration set <tx> does not exist."),
            ConfigurationError,
            "not_found",
            None,
        ),
        (
            reply(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
            TemporaryFailure,
            "rate_limited",
            1.0,
        ),
        (reply(400, "ThrottlingException", "Rate exceeded"), TemporaryFailure, "rate_limited", 1.0),
        (reply(400, "ThrottlingException", "Daily message quota exceeded."), TemporaryFailure, "daily_quota", 3600.0),
        (
            reply(429, "TooManyRequestsException", "Daily message quota exceeded."),
            TemporaryFailure,
            "daily_quota",
            3600.0,
        ),
        (reply(400, "LimitExceededException", "Too many."), TemporaryFailure, "daily_quota", 3600.0),
        (reply(408, "RequestTimeout", "Slow."), UnknownOutcome, "timeout", None),
        (reply(500, "InternalFailure", "Oops."), UnknownOutcome, "http_500", None),
        (reply(503, "ServiceUnavailable", "Oops."), UnknownOutcome, "http_503", None),
        (Fault(Kind.REPLY, 502, body="<html>Bad Gateway</html>"), UnknownOutcome, "http_502", None),
        (Fault(Kind.REPLY, 400, body="<html>Bad Request</html>"), TemporaryFailure, "http_400", None),
        (Fault(Kind.REPLY, 200, body="{}"), UnknownOutcome, "garbage", None),
        (Fault(Kind.REPLY, 200, body="<html>"), UnknownOutcome, "garbage", None),
        (Fault(Kind.REPLY, 200, body='["MessageId"]'), UnknownOutcome, "garbage", None),
        (Fault(Kind.REPLY, 200, body='{"MessageId": ""}'), UnknownOutcome, "garbage", None),
        (Fault(Kind.REPLY, 302, headers={"location": "https://example.com/"}), ConfigurationError, "redirected", None),
        (Fault(Kind.RESET_BEFORE_BODY), UnknownOutcome, "no_answer", None),
    ],
    ids=lambda value: f"{value.status} {value.body or value.kind}"[:60] if isinstance(value, Fault) else "",
)
def test_an_answer_takes_one_request_and_is_read_by_name_and_message(
    sandbox: Sandbox,
    provider: Ses,
    email: Email,
    fault: Fault,
    outcome: type[DeliveryError],
    code: str,
    wait: float | None,
) -> None:
    sandbox.faults.add("ses", fault)

    with pytest.raises(DeliveryError) as failure:
        provider.send(email, "key-1")

    error = failure.value
    assert (type(error), error.code, error.party, error.retry_after) == (outcome, code, "ses", wait)
    assert "@" not in f"{error} {error.__cause__}"
    assert sandbox.requests["ses"] == 1
    assert sandbox.inbox.all() == []


def test_a_closed_port_sends_no_mail(sandbox: Sandbox, provider: Ses, email: Email) -> None:
    sandbox.close()

    with pytest.raises(TemporaryFailure) as failure:
        provider.send(email, "key-1")

    assert failure.value.code == "unreachable"


class Forgetful(BaseHTTPRequestHandler):
    """Answers the first request of a connection and drops the second, as a server does with an idle connection."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        body = b'{"MessageId": "0100"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def forgetful() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.05)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_connection_idle_for_too_long_gets_no_mail(
    forgetful: str, email: Email, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_client, "IDLE_SECONDS", -1.0)
    provider = Ses.from_settings({"endpoint": forgetful})

    assert [provider.send(email, f"key-{number}").id for number in range(3)] == ["0100"] * 3


def test_a_mail_lost_on_an_open_connection_is_unknown_and_not_repeated(forgetful: str, email: Email) -> None:
    provider = Ses.from_settings({"endpoint": forgetful})
    provider.send(email, "key-1")

    with pytest.raises(UnknownOutcome):
        provider.send(email, "key-2")


def test_missing_credentials_are_a_configuration_error(email: Email, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(ConfigurationError) as failure:
        Ses.from_settings({"endpoint": "http://127.0.0.1:1"}).send(email, "key-1")

    assert failure.value.code == "bad_key"


def test_credentials_that_cannot_be_read_now_send_no_mail(
    sandbox: Sandbox, email: Email, provider: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/credentials")

    with pytest.raises(TemporaryFailure):
        provider.send(email, "key-1")

    assert sandbox.requests["ses"] == 0


# --- Settings


@pytest.mark.parametrize(
    "settings", [{"region": "not a region"}, {"endpoint": "http://mail.example.com"}, {"endpoint": "mail"}]
)
def test_a_malformed_setting_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"providers/ses/{next(iter(settings))}"):
        load("ses", settings)


def test_a_missing_region_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    with pytest.raises(ConfigurationError, match="providers/ses/region"):
        load("ses", {})
