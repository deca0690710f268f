"""Aliyun: signatures against published vectors, the form against its SDK, answers against its error list."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx
import pytest

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.network.http import Connections
from mailroom.network.tls import tls_context
from mailroom.providers import _client, load
from mailroom.providers.aliyun import Aliyun, authorization
from mailroom_ops.sandbox.provider import UNVERIFIED
from mailroom_ops.sandbox.server import Sandbox
from tests.transports import Answering


@pytest.fixture
def provider(sandbox: Sandbox) -> Iterator[Aliyun]:
    settings = sandbox.settings("aliyun")
    with closing(Connections(_client.limits, tls_context)) as transport:
        yield Aliyun(settings["access_key_id"], settings["access_key_secret"], transport, settings["endpoint"])


# --- The signature


def lower(headers: Mapping[str, str] | list[list[str]]) -> dict[str, str]:
    """Return headers as they are signed: names in lower case, several values of a name joined with commas."""
    joined: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        joined[name.lower()] = f"{joined[name.lower()]},{value}" if name.lower() in joined else value
    return joined


def test_the_signature_equals_that_of_every_vector(contracts: Path) -> None:
    vectors = json.loads((contracts / "aliyun" / "acs3-vectors.json").read_text())
    checked = [vector for vector in vectors if "signature" in vector]

    assert len(checked) == 2
    for vector in checked:
        headers = lower(vector["headers"])
        body_hash = vector.get("payload_hash") or hashlib.sha256(vector["body"].encode()).hexdigest()
        query = urlencode(sorted(vector["query"].items()), quote_via=quote)
        made = authorization(vector["ak"], vector["sk"], vector["method"], query, headers, body_hash)
        assert made.endswith(f",Signature={vector['signature']}")


def test_the_signature_equals_that_of_aliyuns_sdk(contracts: Path) -> None:
    capture = json.loads((contracts / "sdk-captures" / "aliyun.json").read_text())["request"]
    headers = lower(capture["headers"])
    theirs = headers["authorization"]
    names = theirs.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    body_hash = hashlib.sha256(capture["body"].encode()).hexdigest()

    assert (
        authorization("testid", "testsecret", "POST", "", {name: headers[name] for name in names}, body_hash) == theirs
    )


# --- The form


def recorded(email: Email, **settings: str) -> httpx.Request:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"EnvId": "600000012345678901", "RequestId": "1"})

    receipt = Aliyun("testid", "testsecret", Answering(answer), **settings).send(email, "key-1")
    assert receipt.id == "600000012345678901"
    return requests[0]


def form_of(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode(), strict_parsing=True))


def test_the_aliyun_request_equals_that_of_its_sdk(contracts: Path) -> None:
    capture = json.loads((contracts / "sdk-captures" / "aliyun.json").read_text())["request"]
    welcome = Email(
        from_=Mailbox("no-reply@example.com", "Acme"),
        to="ada@example.org",
        subject="Hello",
        html="<p>hi</p>",
        text="hi",
        reply_to=Mailbox("help@example.com"),
        tags={"id": "123"},
    )

    request = recorded(welcome, tag_name="welcome")

    ours, theirs = form_of(request), dict(parse_qsl(capture["body"]))
    assert ours.pop("ClickTrace") == "0", "not in the SDK's example"
    for form in (ours, theirs):
        form["ReplyToAddress"] = form["ReplyToAddress"].lower()  # the SDK sends Python's spelling
        form["Headers"] = json.loads(form["Headers"])
    assert ours == theirs
    assert (request.method, request.url.path) == (capture["method"], capture["path"])
    for name in ("x-acs-action", "x-acs-version", "content-type"):
        assert request.headers[name] == capture["headers"][name]


def test_each_request_has_a_new_nonce(email: Email) -> None:
    nonces = {recorded(email).headers["x-acs-signature-nonce"] for _ in range(50)}

    assert len(nonces) == 50


def test_a_mail_with_every_field_of_aliyun_reaches_the_inbox(sandbox: Sandbox, provider: Aliyun, email: Email) -> None:
    written = replace(
        email,
        from_=Mailbox("no-reply@example.com", "中文有限公司 & Co"),
        to="ada@bücher.example",
        subject="Ihr Code ✓ & mehr=",
        text="Zeile 1\nZeile 2 + 3 %20",
        reply_to=Mailbox("help@example.com", "Hilfe"),
        headers={"X-Entity-Ref-ID": "123", "List-Unsubscribe": "<https://example.com/u>"},
    )

    receipt = provider.send(written, "key-1")

    [mail] = sandbox.inbox.all()
    assert mail.id == receipt.id
    assert (mail.from_, mail.reply_to) == ("中文有限公司 & Co <no-reply@example.com>", "Hilfe <help@example.com>")
    assert (mail.to, mail.subject) == ("ada@xn--bcher-kva.example", written.subject)
    assert (mail.text, mail.html) == (written.text, written.html)
    assert (mail.message_id, mail.tenant, mail.kind) == ("0123456789ab", "default", "sign-in-code")
    assert "X-Entity-Ref-ID" not in mail.headers, "any header but its own few is refused"
    assert mail.headers["List-Unsubscribe"] == "<https://example.com/u>"


@pytest.mark.parametrize(
    ("name", "alias"), [("", ""), ("Fifteen letters", "Fifteen letters"), ("More than fifteen", "More than fift…")]
)
def test_a_name_too_long_for_aliyun_ends_with_an_ellipsis(email: Email, name: str, alias: str) -> None:
    request = recorded(replace(email, from_=Mailbox("no-reply@example.com", name)))

    assert form_of(request).get("FromAlias", "") == alias


@pytest.mark.parametrize("to", ["jürgen@example.org", "a@example.org,b@example.org"])
def test_a_recipient_that_aliyun_cannot_address_is_refused_without_a_request(
    sandbox: Sandbox, provider: Aliyun, email: Email, to: str
) -> None:
    with pytest.raises(PermanentFailure):
        provider.send(replace(email, to=to), "key-1")

    assert sandbox.requests["aliyun"] == 0


def test_a_wrong_secret_and_an_unknown_sender_are_configuration_errors(
    sandbox: Sandbox, provider: Aliyun, email: Email
) -> None:
    settings = sandbox.settings("aliyun")
    with closing(Connections(_client.limits, tls_context)) as transport:
        forged = Aliyun(settings["access_key_id"], "wrong", transport, settings["endpoint"])
        with pytest.raises(ConfigurationError, match="SignatureDoesNotMatch") as bad_key:
            forged.send(email, "key-1")
    with pytest.raises(ConfigurationError) as unverified:
        provider.send(replace(email, from_=Mailbox(f"hi@{UNVERIFIED}")), "key-1")

    assert (bad_key.value.code, unverified.value.code) == ("bad_key", "unverified_sender")
    assert sandbox.inbox.all() == []


# --- Answers


@pytest.mark.parametrize(
    ("status", "code", "outcome", "word", "headers"),
    [
        (404, "InvalidAccessKeyId.NotFound", ConfigurationError, "bad_key", {}),
        (400, "SignatureDoesNotMatch", ConfigurationError, "bad_key", {}),
        (400, "Forbidden", ConfigurationError, "forbidden", {}),
        (403, "Forbidden.RAM", ConfigurationError, "forbidden", {}),
        (404, "InvalidMailAddress.NotFound", ConfigurationError, "unverified_sender", {}),
        (400, "InvalidMailAddressStatus.Malformed", ConfigurationError, "unverified_sender", {}),
        (400, "InvalidMailAddressDomain.Malformed", ConfigurationError, "unverified_sender", {}),
        (400, "InvalidFromAlias.Malformed", ConfigurationError, "invalid_sender", {}),
        (400, "InvalidTagName.Malformed", ConfigurationError, "unknown_tag", {}),
        (400, "InvalidSendMail.Spam", ConfigurationError, "quota_or_spam", {}),
        (400, "InvalidToAddress", PermanentFailure, "invalid_recipient", {}),
        (400, "InvalidToAddress.Spam", PermanentFailure, "invalid_recipient", {}),
        (400, "InvalidReceiverName.Malformed", PermanentFailure, "invalid_recipient", {}),
        (400, "InvalidBody", PermanentFailure, "invalid", {}),
        (400, "InvalidSubject.Malformed", PermanentFailure, "invalid", {}),
        (400, "EmailFormatError", PermanentFailure, "invalid", {}),
        (400, "NameOfTomorrow", PermanentFailure, "invalid", {}),
        (400, "Throttling.User", TemporaryFailure, "rate_limited", {}),
        (429, "Throttling", TemporaryFailure, "rate_limited", {"x-acs-retry-after": "2500"}),
        (500, "InternalServiceError", UnknownOutcome, "http_500", {}),
        (503, "ServiceUnavailable", UnknownOutcome, "http_503", {}),
    ],
)
def test_an_answer_is_the_error_of_its_code(
    email: Email, status: int, code: str, outcome: type[DeliveryError], word: str, headers: dict[str, str]
) -> None:
    body = {"Code": code, "Message": f"about {email.to}", "RequestId": "1", "HostId": "dm.aliyuncs.com"}
    transport = Answering(lambda _: httpx.Response(status, json=body, headers=headers))

    with pytest.raises(DeliveryError) as failure:
        Aliyun("testid", "testsecret", transport).send(email, "key-1")

    assert (type(failure.value), failure.value.code, failure.value.party) == (outcome, word, "aliyun")
    assert failure.value.retry_after == (2.5 if headers else 1.0 if outcome is TemporaryFailure else None)
    assert "@" not in str(failure.value)


@pytest.mark.parametrize("body", [{}, {"EnvId": ""}, {"EnvId": 600}, ["EnvId"], "It works!"])
def test_a_success_without_an_id_is_an_unknown_outcome(email: Email, body: Any) -> None:
    transport = Answering(lambda _: httpx.Response(200, json=body))

    with pytest.raises(UnknownOutcome):
        Aliyun("testid", "testsecret", transport).send(email, "key-1")


# --- Settings


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ({}, "dm.aliyuncs.com"),
        ({"region": "cn-hangzhou"}, "dm.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, "dm.ap-southeast-1.aliyuncs.com"),
        ({"region": "eu-central-1"}, "dm.eu-central-1.aliyuncs.com"),
    ],
)
def test_each_region_has_its_own_endpoint(region: dict[str, str], host: str, email: Email) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"EnvId": "1"})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mailroom.providers._client.shared", lambda endpoint: Answering(answer))
        load("aliyun", {"access_key_id": "id", "access_key_secret": "secret", **region}).send(email, "key-1")

    assert str(requests[0].url) == f"https://{host}/"
    assert requests[0].headers["host"] == host


@pytest.mark.parametrize(
    "settings",
    [{"region": "Hangzhou!"}, {"access_key_id": ""}, {"access_key_secret": "a b"}, {"endpoint": "http://dm.example"}],
)
def test_a_malformed_setting_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"providers/aliyun/{next(iter(settings))}"):
        load("aliyun", {"access_key_id": "id", "access_key_secret": "secret", **settings})
