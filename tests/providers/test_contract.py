"""One table of faults for every adapter, over real sockets: what each amounts to, and how many mails it makes."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from botocore.config import Config

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Provider, Receipt, _client, load, ses
from mailroom.providers.smtp import Smtp
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.inbox import Inbox
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.ses import Ses as Desk
from mailroom_ops.sandbox.smtp import SmtpSandbox
from mailroom_ops.tls import ssl_context
from tests.cloud import moto_url

IMPATIENT = 0.3  # seconds, for an answer that never comes


@dataclass(frozen=True)
class Row:
    """What one fault amounts to."""

    fault: str
    outcome: type[DeliveryError]
    taken: bool = False  # the reader gets this mail all the same
    waits: bool = False  # it says, or we know, for how long


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
    """An adapter, and the server it talks to."""

    provider: Provider
    inbox: Inbox
    requests: Callable[[], int]
    provoke: Callable[[str], None]
    calm: Callable[[], None]  # undo what `provoke` did to the adapter's patience
    leave: Callable[[], None]  # close the server's door


def say(status: int, body: object = "", **headers: str) -> Fault:
    return Fault(Kind.REPLY, status, body=body if isinstance(body, str) else json.dumps(body), headers=headers)


OVER_HTTP: Mapping[str, Fault] = {
    "a redirect": say(302, location="https://example.com/"),
    "too large": Fault(Kind.STATUS, 413),
    "too fast": Fault(Kind.RATE_LIMIT, seconds=3),
    "an error of its own": Fault(Kind.STATUS, 500),
    "an error in front of it": say(502, "<html>Bad Gateway</html>"),
    "cut before the body": Fault(Kind.RESET_BEFORE_BODY),
    "cut after the mail was taken": Fault(Kind.RESET_AFTER_ACCEPT),
    "no answer": Fault(Kind.HANG),
    "no answer after the mail was taken": Fault(Kind.HANG_AFTER_ACCEPT),
    "nonsense": Fault(Kind.GARBAGE),
    "an answer without end": Fault(Kind.FLOOD),
}
IN_THEIR_WORDS: Mapping[str, Mapping[str, Fault]] = {
    "resend": {
        "a bad key": say(403, {"statusCode": 403, "name": "invalid_api_key", "message": "API key is invalid"}),
        "an unverified sender": say(
            403, {"name": "validation_error", "message": "The example.com domain is not verified. Please, add it."}
        ),
        "an invalid recipient": say(422, {"name": "validation_error", "message": "Invalid `to` field."}),
        "a used-up quota": say(429, {"name": "daily_quota_exceeded", "message": "Your daily quota is reached."}),
    },
    "sendgrid": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": say(
            403,
            {"errors": [{"field": "from", "message": "The from address does not match a verified Sender Identity."}]},
        ),
        "an invalid recipient": say(
            400,
            {"errors": [{"field": "personalizations.0.to.0.email", "message": "Does not contain a valid address."}]},
        ),
        "a used-up quota": say(401, {"errors": [{"field": None, "message": "Maximum credits exceeded"}]}),
    },
    "mailgun": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": say(
            400, {"message": "Domain example.com is not allowed to send: The domain is unverified and requires DNS."}
        ),
        "an invalid recipient": say(
            400, {"message": "'to' parameter is not a valid address. please check documentation"}
        ),
        "a used-up quota": Fault(Kind.RATE_LIMIT, seconds=7200),
    },
    "postmark": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": say(422, {"ErrorCode": 400, "Message": "The sender signature was not found."}),
        "an invalid recipient": say(422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'ada'."}),
        "a used-up quota": say(422, {"ErrorCode": 405, "Message": "You have no credits left."}),
    },
    "aliyun": {
        "a bad key": say(404, {"Code": "InvalidAccessKeyId.NotFound", "Message": "Specified access key is not found."}),
        "an unverified sender": say(404, {"Code": "InvalidMailAddress.NotFound", "Message": "It does not exist."}),
        "an invalid recipient": say(400, {"Code": "InvalidToAddress", "Message": "It is wrongly formed."}),
    },
    "ses": {
        "a bad key": say(403, {"message": "Invalid."}, **{"x-amzn-ErrorType": "UnrecognizedClientException"}),
        "an unverified sender": say(
            400, {"message": "Email address is not verified."}, **{"x-amzn-ErrorType": "MessageRejected"}
        ),
        "an invalid recipient": say(
            400, {"message": "Missing final '@domain'"}, **{"x-amzn-ErrorType": "BadRequestException"}
        ),
        "a used-up quota": say(
            400, {"message": "Daily message quota exceeded."}, **{"x-amzn-ErrorType": "ThrottlingException"}
        ),
    },
    "http": {
        "a bad key": Fault(Kind.STATUS, 401),
        "an unverified sender": say(403, {"message": "not from this address"}),
        "an invalid recipient": say(422, {"message": "nobody of that name"}),
        "a used-up quota": say(429, {"message": "enough for today"}, **{"retry-after": "3600"}),
    },
}

OVER_SMTP: Mapping[str, Fault] = {
    "a bad key": Fault(Kind.REPLY, 530, body="5.7.0 Authentication required", stage="mail"),
    "an unverified sender": Fault(Kind.REPLY, 450, body="The example.com domain is not verified."),
    "an invalid recipient": Fault(Kind.REPLY, 550, body="5.1.1 no such reader", stage="rcpt"),
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
def over_http(name: str) -> Iterator[Rig]:
    with (
        Sandbox() as sandbox,
        httpx.HTTPTransport(verify=ssl_context()) as transport,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(_client, "shared", lambda endpoint: transport)
        patience = _client.TIMEOUT

        def provoke(fault: str) -> None:
            if fault.startswith("no answer"):
                patch.setattr(_client, "TIMEOUT", {**patience, "read": IMPATIENT})
            sandbox.faults.add(name, {**OVER_HTTP, **IN_THEIR_WORDS[name]}[fault])

        def calm() -> None:
            patch.setattr(_client, "TIMEOUT", patience)

        provider = load(name, sandbox.settings(name))
        yield Rig(provider, sandbox.inbox, lambda: sandbox.requests[name], provoke, calm, sandbox.close)


@contextmanager
def over_smtp(name: str) -> Iterator[Rig]:
    with SmtpSandbox() as sandbox:
        provider = Smtp.from_settings(sandbox.settings(name))
        patience = provider.timeout

        def provoke(fault: str) -> None:
            provider.timeout = IMPATIENT if fault.startswith("no answer") else patience
            sandbox.faults.add(name, OVER_SMTP[fault])

        def calm() -> None:
            provider.timeout = patience

        yield Rig(provider, sandbox.inbox, lambda: sandbox.requests[name], provoke, calm, sandbox.close)
        provider.close()


@contextmanager
def over_moto(name: str) -> Iterator[Rig]:
    config = ses.CONFIG.merge(Config(read_timeout=2))  # fixed when the client is made, and long enough for moto
    with Sandbox(providers=[Desk(moto_url())]) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ses, "CONFIG", config)
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(variable, "example")
        provider = ses.Ses.from_settings({**sandbox.settings(name), "region": "eu-west-1"})

        def provoke(fault: str) -> None:
            sandbox.faults.add(name, {**OVER_HTTP, **IN_THEIR_WORDS[name]}[fault])

        yield Rig(provider, sandbox.inbox, lambda: sandbox.requests[name], provoke, lambda: None, sandbox.close)
        provider.close()


RIGS: Mapping[str, Callable[[str], AbstractContextManager[Rig]]] = {
    **dict.fromkeys(IN_THEIR_WORDS, over_http),
    "ses": over_moto,
    "smtp": over_smtp,
}
NOT_THERE: Mapping[str, str] = {  # "provider: fault", and why it cannot happen there
    "aliyun: a used-up quota": "it is one of the things that InvalidSendMail.Spam may mean",
    "ses: an answer without end": "boto3 reads whatever comes, and AWS is trusted to end",
    "smtp: a redirect": "there is none",
    "smtp: an error of its own": "a relay's 4yz says for sure that it has not taken the mail",
    "smtp: an error in front of it": "nothing stands in front",
    "smtp: cut before the body": "nothing is lost then, and whether we notice in time is chance: see test_smtp.py",
}
CARRIES_NO_HEADERS = ("aliyun",)  # but a few of its own

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
def test_a_mail_reaches_its_reader_once_with_everything_in_it(rig: Rig, name: str, email: Email) -> None:
    receipt = rig.provider.send(email, "key-1")

    [mail] = rig.inbox.wait(1)
    assert receipt.id and receipt.id == mail.id
    assert (mail.provider, mail.message_id, mail.tenant, mail.kind) == (name, "0123456789ab", "default", "sign-in-code")
    assert (mail.from_, mail.to, mail.subject) == ("Acme <no-reply@example.com>", "ada@example.org", "Your code")
    assert mail.reply_to == "Help, please <help@example.com>"
    assert (mail.text.strip(), mail.html.strip()) == (email.text, email.html)
    if name not in CARRIES_NO_HEADERS:
        assert (mail.headers["X-Entity-Ref-ID"], mail.locale) == ("123", "de")
    assert rig.requests() == 1


@pytest.mark.parametrize(("name", "row"), HAPPENS)
def test_a_fault_has_its_outcome_is_met_once_and_sends_nothing_twice_but_where_declared(
    rig: Rig, name: str, row: Row, email: Email
) -> None:
    rig.provoke(row.fault)

    with pytest.raises(DeliveryError) as failure:
        rig.provider.send(email, "key-1")

    assert (type(failure.value), failure.value.party) == (row.outcome, name)
    assert (failure.value.retry_after is not None) == row.waits
    assert rig.requests() == 1, "a client that retries by itself sends mails twice"
    assert len(rig.inbox.wait(1) if row.taken else rig.inbox.all()) == row.taken

    rig.calm()
    assert isinstance(rig.provider.send(email, "key-1"), Receipt)

    assert rig.requests() == 2
    assert len(rig.inbox.wait(1)) == (2 if row.taken and not rig.provider.idempotent else 1)


@pytest.mark.parametrize("name", RIGS)
def test_where_nobody_listens_any_more_nothing_was_taken(rig: Rig, name: str, email: Email) -> None:
    rig.provider.send(email, "key-1")
    rig.leave()

    with pytest.raises(TemporaryFailure):
        rig.provider.send(email, "key-2")


@pytest.mark.parametrize("name", RIGS)
def test_an_error_repeats_no_key_and_no_address(rig: Rig, name: str, email: Email) -> None:
    rig.provoke("an invalid recipient")

    with pytest.raises(PermanentFailure) as failure:
        rig.provider.send(email, "key-1")

    assert "@" not in str(failure.value)
