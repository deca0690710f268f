"""The same faults for every adapter, over real sockets: the outcome of each, and the number of mails."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.network.http import Connections
from mailroom.providers import Provider, Receipt, _client, load, spec_of
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.inbox import Inbox
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses as SesStub
from mailroom_ops.sandbox.smtp import SmtpSandbox
from mailroom_ops.tls import ssl_context
from tests.cloud import moto_url

SHORT_TIMEOUT_SECONDS = 0.3  # for an answer that never comes
SETTINGS = {"ses": {"region": "eu-west-1"}}


@dataclass(frozen=True)
class Row:
    """The outcome of a fault."""

    fault: str
    outcome: type[DeliveryError]
    taken: bool = False  # the recipient gets the mail nevertheless
    waits: bool = False  # the error has a time to wait


ROWS = (
    Row("a bad key", ConfigurationError),
    Row("an unverified sender", ConfigurationError),
    Row("a redirect", ConfigurationError),
    Row("an invalid recipient", PermanentFailure),
    Row("too large", PermanentFailure),
    Row("too fast", TemporaryFailure, waits=True),
    Row("a used-up quota", TemporaryFailure, waits=True),
    Row("an error of its own", UnknownOutcome),
    Row("an error in front of it", UnknownOutcome),
    Row("cut before the body", UnknownOutcome),
    Row("cut after the mail was taken", UnknownOutcome, taken=True),
    Row("no answer", UnknownOutcome),
    Row("no answer after the mail was taken", UnknownOutcome, taken=True),
    Row("nonsense", UnknownOutcome, taken=True),
    Row("an answer without end", UnknownOutcome, taken=True),
)


@dataclass(frozen=True)
class Rig:
    """An adapter and its server."""

    provider: Provider
    inbox: Inbox
    requests: Callable[[], int]
    inject: Callable[[str], None]
    restore: Callable[[], None]  # restores the adapter's timeout after `inject`
    close_port: Callable[[], None]  # closes the server's port


def reply(status: int, body: object = "", **headers: str) -> Fault:
    return Fault(Kind.REPLY, status, body=body if isinstance(body, str) else json.dumps(body), headers=headers)


OVER_HTTP: Mapping[str, Fault] = {
    "a redirect": reply(302, location="https://example.com/"),
    "too large": Fault(Kind.STATUS, 413),
    "too fast": Fault(Kind.RATE_LIMIT, seconds=3),
    "an error of its own": Fault(Kind.STATUS, 500),
    "an error in front of it": reply(502, "<html>Bad Gateway</html>"),
    "cut before the body": Fault(Kind.RESET_BEFORE_BODY),
    "cut after the mail was taken": Fault(Kind.RESET_AFTER_ACCEPT),
    "no answer": Fault(Kind.HANG),
    "no answer after the mail was taken": Fault(Kind.HANG_AFTER_ACCEPT),
    "nonsense": Fault(Kind.GARBAGE),
    "an answer without end": Fault(Kind.FLOOD),
}
IN_THEIR_WORDS: Mapping[str, Mapping[str, Fault]] = {
    "resend": {
        "a bad key": reply(403, {"statusCode": 403, "name": "invalid_api_key", "message": "API key is invalid"}),
        "an unverified sender": reply(
            403, {"name": "validation_error", "message": "The example.com domain is not verified. Please, add it."}
        ),
        "an invalid recipient": reply(422, {"name": "validation_error", "message": "Invalid `to` field."}),
        "a used-up quota": reply(429, {"name": "daily_quota_exceeded", "message": "Your daily quota is reached."}),
    },
    "sendgrid": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": reply(
            403,
            {"errors": [{"field": "from", "message": "The from address does not match a verified Sender Identity."}]},
        ),
        "an invalid recipient": reply(
            400,
            {"errors": [{"field": "personalizations.0.to.0.email", "message": "Does not contain a valid address."}]},
        ),
        "a used-up quota": reply(401, {"errors": [{"field": None, "message": "Maximum credits exceeded"}]}),
    },
    "mailgun": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": reply(
            400, {"message": "Domain example.com is not allowed to send: The domain is unverified and requires DNS."}
        ),
        "an invalid recipient": reply(
            400, {"message": "'to' parameter is not a valid address. please check documentation"}
        ),
        "a used-up quota": Fault(Kind.RATE_LIMIT, seconds=7200),
    },
    "postmark": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": reply(422, {"ErrorCode": 400, "Message": "The sender signature was not found."}),
        "an invalid recipient": reply(422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'ada'."}),
        "a used-up quota": reply(422, {"ErrorCode": 405, "Message": "You have no credits left."}),
    },
    "aliyun": {
        "a bad key": reply(404, {"Code": "InvalidAccessKeyId.NotFound", "Message": "The access key is not found."}),
        "an unverified sender": reply(404, {"Code": "InvalidMailAddress.NotFound", "Message": "It does not exist."}),
        "an invalid recipient": reply(400, {"Code": "InvalidToAddress", "Message": "It is wrongly formed."}),
    },
    "ses": {
        "a bad key": reply(403, {"message": "Invalid."}, **{"x-amzn-ErrorType": "UnrecognizedClientException"}),
        "an unverified sender": reply(
            400, {"message": "Email address is not verified."}, **{"x-amzn-ErrorType": "MessageRejected"}
        ),
        "an invalid recipient": reply(
            400, {"message": "Missing final '@domain'"}, **{"x-amzn-ErrorType": "BadRequestException"}
        ),
        "a used-up quota": reply(
            400, {"message": "Daily message quota exceeded."}, **{"x-amzn-ErrorType": "ThrottlingException"}
        ),
    },
    "http": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": reply(403, {"message": "not from this address"}),
        "an invalid recipient": reply(422, {"message": "nobody of that name"}),
        "a used-up quota": reply(429, {"message": "enough for today"}, **{"retry-after": "3600"}),
    },
}

OVER_SMTP: Mapping[str, Fault] = {
    "a bad key": Fault(Kind.REPLY, 530, body="5.7.0 Authentication required", stage="mail"),
    "an unverified sender": Fault(Kind.REPLY, 450, body="The example.com domain is not verified."),
    "an invalid recipient": Fault(Kind.REPLY, 550, body="5.1.1 no such user", stage="rcpt"),
    "too large": Fault(Kind.REPLY, 552, body="5.3.4 Message too big", stage="mail"),
    "too fast": Fault(Kind.RATE_LIMIT, seconds=3),
    "a used-up quota": Fault(Kind.REPLY, 454, body="Throttling failure: Daily message quota exceeded."),
    "cut after the mail was taken": Fault(Kind.RESET_AFTER_ACCEPT),
    "no answer": Fault(Kind.HANG),
    "no answer after the mail was taken": Fault(Kind.HANG_AFTER_ACCEPT),
    "nonsense": Fault(Kind.GARBAGE),
    "an answer without end": Fault(Kind.FLOOD),
}


@contextmanager
def over_http(name: str, read_timeout: float = SHORT_TIMEOUT_SECONDS, **stubs: Any) -> Iterator[Rig]:
    with (
        Sandbox(**stubs) as sandbox,
        closing(Connections(_client.limits, ssl_context)) as transport,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(_client, "shared", lambda endpoint: transport)
        patience = _client.READ_TIMEOUT_SECONDS

        def inject(fault: str) -> None:
            if fault.startswith("no answer"):
                patch.setattr(_client, "READ_TIMEOUT_SECONDS", read_timeout)
            sandbox.faults.add(name, {**OVER_HTTP, **IN_THEIR_WORDS[name]}[fault])

        def restore() -> None:
            patch.setattr(_client, "READ_TIMEOUT_SECONDS", patience)

        provider = load(name, sandbox.settings(name) | SETTINGS.get(name, {}))
        yield Rig(provider, sandbox.inbox, lambda: sandbox.requests[name], inject, restore, sandbox.close)


@contextmanager
def over_smtp(name: str) -> Iterator[Rig]:
    with SmtpSandbox() as sandbox:
        provider = Smtp.from_settings(sandbox.settings(name))
        patience = provider.timeout

        def inject(fault: str) -> None:
            provider.timeout = SHORT_TIMEOUT_SECONDS if fault.startswith("no answer") else patience
            sandbox.faults.add(name, OVER_SMTP[fault])

        def restore() -> None:
            provider.timeout = patience

        yield Rig(provider, sandbox.inbox, lambda: sandbox.requests[name], inject, restore, sandbox.close)
        provider.close()


@contextmanager
def over_moto(name: str) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(variable, "example")
        with over_http(name, 2.0, providers=[SesStub(moto_url())]) as rig:  # long enough for moto
            yield rig


RIGS: Mapping[str, Callable[[str], AbstractContextManager[Rig]]] = {
    **dict.fromkeys(IN_THEIR_WORDS, over_http),
    "ses": over_moto,
    "smtp": over_smtp,
}
NOT_THERE: Mapping[str, str] = {  # "provider: fault", and the reason why it cannot happen
    "aliyun: a used-up quota": "it is one of the meanings of InvalidSendMail.Spam",
    "smtp: a redirect": "SMTP has none",
    "smtp: an error of its own": "after a 4yz, the relay has certainly not accepted the mail",
    "smtp: an error in front of it": "SMTP has no proxy in front",
    "smtp: cut before the body": "nothing is lost then, and the time of the error is random: see test_smtp.py",
}
WITHOUT_HEADERS = ("aliyun",)  # except a few of its own

HAPPENS = [
    pytest.param(name, row, id=f"{name}: {row.fault}")
    for name in RIGS
    for row in ROWS
    if f"{name}: {row.fault}" not in NOT_THERE
]


@pytest.fixture
def rig(name: str) -> Iterator[Rig]:
    with RIGS[name](name) as opened:
        yield opened


@pytest.mark.parametrize("name", RIGS)
def test_a_mail_arrives_once_with_every_field(rig: Rig, name: str, email: Email) -> None:
    receipt = rig.provider.send(email, "key-1")

    [mail] = rig.inbox.wait(1)
    assert receipt.id and receipt.id == mail.id
    assert mail.provider == name
    assert mail.message_id == "0123456789ab"
    assert (mail.tenant, mail.kind) == ("default", "sign-in-code")
    assert (mail.from_, mail.to) == ("Acme <no-reply@example.com>", "ada@example.org")
    assert mail.subject == "Your code"
    assert mail.reply_to == "Help, please <help@example.com>"
    assert (mail.text.strip(), mail.html.strip()) == (email.text, email.html)
    if name not in WITHOUT_HEADERS:
        assert (mail.headers["X-Entity-Ref-ID"], mail.locale) == ("123", "de")
    assert rig.requests() == 1


@pytest.mark.parametrize("name", [name for name in RIGS if spec_of(name).inline_images])
def test_a_picture_inside_a_mail_arrives_with_its_reference(rig: Rig, name: str, pictured: Email) -> None:
    rig.provider.send(pictured, "key-1")

    [mail] = rig.inbox.wait(1)
    assert mail.html.strip() == pictured.html
    assert mail.images == {image.cid: f"data:{image.type};base64,{image.content}" for image in pictured.images}


@pytest.mark.parametrize(("name", "row"), HAPPENS)
def test_a_fault_has_its_outcome_and_one_request(rig: Rig, name: str, row: Row, email: Email) -> None:
    rig.inject(row.fault)

    with pytest.raises(DeliveryError) as failure:
        rig.provider.send(email, "key-1")

    assert (type(failure.value), failure.value.party) == (row.outcome, name)
    assert (failure.value.retry_after is not None) == row.waits
    assert rig.requests() == 1, "a client that retries by itself sends mails twice"
    assert len(rig.inbox.wait(1) if row.taken else rig.inbox.all()) == row.taken

    rig.restore()
    assert isinstance(rig.provider.send(email, "key-1"), Receipt)

    assert rig.requests() == 2
    assert len(rig.inbox.wait(1)) == (2 if row.taken and not rig.provider.idempotent else 1)


@pytest.mark.parametrize("name", RIGS)
def test_a_closed_port_is_a_temporary_failure(rig: Rig, name: str, email: Email) -> None:
    rig.provider.send(email, "key-1")
    rig.close_port()

    with pytest.raises(TemporaryFailure):
        rig.provider.send(email, "key-2")


@pytest.mark.parametrize("name", RIGS)
def test_an_error_contains_no_key_and_no_address(rig: Rig, name: str, email: Email) -> None:
    rig.inject("an invalid recipient")

    with pytest.raises(PermanentFailure) as failure:
        rig.provider.send(email, "key-1")

    assert "@" not in str(failure.value)
