"""SES: the request that botocore sends, answers of moto, and answers of AWS."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import load
from mailroom.providers import ses as module
from mailroom.providers.ses import Ses
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.provider import UNVERIFIED
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses as SesStub
from tests.cloud import moto_url

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
def provider(sandbox: Sandbox) -> Iterator[Ses]:
    yield from adapter(sandbox)


def adapter(sandbox: Sandbox, **settings: str) -> Iterator[Ses]:
    made = Ses.from_settings({**sandbox.settings("ses"), **settings})
    yield made
    made.close()


# --- The wire


def test_the_ses_parameters_equal_those_of_a_request_signed_by_botocore(contracts: Path) -> None:
    capture = json.loads((contracts / "ses" / "sendemail-captured-from-botocore.json").read_text())
    client = boto3.client("sesv2", region_name="us-east-1", config=module.CONFIG)
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(request)
        return Answer(str(request.url), 200, HTTPHeaders(), None)

    client.meta.events.register("before-send.sesv2.SendEmail", answer)  # type: ignore[arg-type]
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

    assert Ses(client, "tx").send(welcome, "key-1").id == "0100"

    [request] = sent
    theirs, ours = json.loads(capture["http"]["body"]), json.loads(cast(bytes, request.body))
    assert (request.method, request.url) == (capture["http"]["method"], capture["http"]["url"])
    # The API requires ASCII in a mailbox; Mailroom sends no name of the recipient.
    assert (theirs.pop("FromEmailAddress"), ours.pop("FromEmailAddress")) == (
        "Acme Böx <no-reply@example.com>",
        "=?utf-8?b?QWNtZSBCw7Z4?= <no-reply@example.com>",
    )
    assert theirs["Destination"] == {"ToAddresses": [f"Ada <{ours['Destination'].pop('ToAddresses')[0]}>"]}
    assert ours["Content"]["Simple"]["Headers"].pop(0) == {"Name": "Content-Language", "Value": "en"}
    assert ours == theirs | {"Destination": {}}


class Answer(AWSResponse):
    """SES's answer to a successful request, without a network."""

    @property
    def content(self) -> bytes:
        return b'{"MessageId": "0100"}'


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


def test_a_parameter_that_botocore_refuses_is_not_shown(sandbox: Sandbox, provider: Ses, email: Email) -> None:
    with pytest.raises(PermanentFailure) as failure:
        provider.send(replace(email, headers={"": "secret 123456"}), "key-1")

    assert "123456" not in str(failure.value)
    assert sandbox.requests["ses"] == 0


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
    monkeypatch.setattr(module, "MAX_IDLE_SECONDS", -1.0)
    provider = Ses.from_settings({"endpoint": forgetful})

    assert [provider.send(email, f"key-{number}").id for number in range(3)] == ["0100"] * 3
    provider.close()


def test_a_mail_lost_on_an_open_connection_is_unknown_and_not_repeated(forgetful: str, email: Email) -> None:
    provider = Ses.from_settings({"endpoint": forgetful})
    provider.send(email, "key-1")

    with pytest.raises(UnknownOutcome):
        provider.send(email, "key-2")
    provider.close()


def test_missing_credentials_are_a_configuration_error(email: Email, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigurationError) as failure:
        Ses.from_settings({"endpoint": "http://127.0.0.1:1"}).send(email, "key-1")

    assert failure.value.code == "bad_key"


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
