"""No adapter repeats what its provider quotes of a mail, in whichever part of an answer."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from mailroom.errors import DeliveryError
from mailroom.model.email import Email
from mailroom.network.http import Connections
from mailroom.network.tls import tls_context
from mailroom.providers import Provider, _client, load
from mailroom.providers.resend import Resend
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses as SesStub
from mailroom_ops.sandbox.smtp import SmtpSandbox

OVER_HTTP = ("resend", "sendgrid", "mailgun", "postmark", "aliyun", "ses", "http")
TEXT = "Your code is K7QX9P or kqxmpafh, 482-913, see\nhttps://app.example/reset/qwertzuiop?token=S3cretToken"
QUOTES = (
    "554 rejected: body was 'Your code is K7QX9P'",
    "rejected: 482-913 and kqxmpafh",
    "see app.example/reset/qwertzuiop?token=S3cretToken",
    "bad token S3cretToken of qwertzuiop",
)
PRIVATE = ("K7QX9P", "482-913", "kqxmpafh", "app.example", "qwertzuiop", "S3cretToken")


@pytest.fixture
def mail(email: Email) -> Email:
    return replace(email, subject="K7QX9P is your code", text=TEXT, html=f"<p>{TEXT}</p>")


@contextmanager
def answering(name: str, status: int, body: str, headers: dict[str, str]) -> Iterator[Provider]:
    """Yield an adapter whose provider answers once with a status and a body."""
    stubs = [SesStub("http://127.0.0.1:9")] if name == "ses" else None
    with Sandbox(providers=stubs) as sandbox:
        sandbox.faults.add(name, Fault(Kind.REPLY, status, body=body, headers=headers))
        yield load(name, {**sandbox.settings(name), **({"region": "eu-west-1"} if name == "ses" else {})})


@pytest.mark.parametrize("status", [200, 400, 401, 409, 422, 429, 500])
@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("name", OVER_HTTP)
def test_an_error_over_http_has_no_quote(
    name: str, quote: str, status: int, mail: Email, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "example")
    fields = dict.fromkeys(("message", "Message", "name", "Code"), quote)
    body = {**fields, "ErrorCode": 1, "errors": [{"field": quote, "message": quote}]}
    headers = {"content-type": "application/json", "x-amzn-errortype": "MessageRejected"}
    with answering(name, status, json.dumps(body), headers) as provider, pytest.raises(DeliveryError) as failure:
        provider.send(mail, "key-1")

    assert [part for part in PRIVATE if part in str(failure.value)] == []
    assert failure.value.__cause__ is None or "K7QX9P" not in repr(failure.value.__cause__)


@pytest.mark.parametrize("status", [451, 550])
@pytest.mark.parametrize("stage", ["rcpt", "data", ""])
@pytest.mark.parametrize("quote", QUOTES)
def test_an_error_over_smtp_has_no_quote(quote: str, stage: str, status: int, mail: Email) -> None:
    with SmtpSandbox() as relay:
        relay.faults.add("smtp", Fault(Kind.REPLY, status, body=f"5.7.1 {quote}", stage=stage))
        provider = Smtp.from_settings(relay.settings())
        with pytest.raises(DeliveryError) as failure:
            provider.send(mail, "key-1")

    assert [part for part in PRIVATE if part in str(failure.value)] == []
    assert "5.7.1" in failure.value.detail


@pytest.mark.parametrize("quote", QUOTES)
def test_a_reply_without_an_id_leaves_no_quote_in_the_receipt(quote: str, mail: Email) -> None:
    with SmtpSandbox() as relay:
        relay.faults.add("smtp", Fault(Kind.REPLY, 250, body=f"2.0.0 taken {quote}"))
        with closing(Smtp.from_settings(relay.settings())) as provider:
            receipt = provider.send(mail, "key-1")

    assert [part for part in PRIVATE if part in receipt.id] == []


def test_an_error_of_a_batch_has_no_quote_of_any_of_its_mails(mail: Email) -> None:
    other = replace(mail, subject="", html="", text="Your code is wvutsrqp")
    with Sandbox() as sandbox, closing(Connections(_client.limits, tls_context)) as transport:
        body = json.dumps({"name": "validation_error", "message": "spam: wvutsrqp, kqxmpafh"})
        sandbox.faults.add("resend", Fault(Kind.REPLY, 422, body=body))
        settings = sandbox.settings("resend")
        provider = Resend(settings["api_key"], transport, settings["endpoint"])
        with pytest.raises(DeliveryError) as failure:
            provider.send_batch([mail, other], "key-1")

    assert failure.value.detail == "validation_error: spam: …, …"
