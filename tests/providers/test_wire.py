"""The requests of the adapters, against specifications and requests recorded from official SDKs."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from email import message_from_bytes
from email.headerregistry import AddressHeader, HeaderRegistry
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import httpx
import pytest
import yaml
from jsonschema import Draft4Validator, Draft202012Validator

from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.network.signed_webhooks import sign
from mailroom.providers import Provider
from mailroom.providers.http import Http
from mailroom.providers.mailgun import Mailgun
from mailroom.providers.postmark import Postmark
from mailroom.providers.resend import Resend
from mailroom.providers.sendgrid import SendGrid
from tests.transports import Answering

Spec = dict[str, Any]
NOT_IN_EXAMPLE = "not in the SDK's example"


class Recorder:
    """A provider that stores the last request, and answers every request with a success."""

    def __init__(self) -> None:
        self.transport = Answering(self._answer)
        self.request = httpx.Request("POST", "https://example.com")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        count = len(json.loads(request.content)) if request.url.path.endswith("/batch") else 1
        data = [{"id": str(number)} for number in range(count)]
        body = {"id": "1", "data": data, "message": "Queued.", "MessageID": "1", "ErrorCode": 0}
        if not request.url.path.endswith("/batch"):
            del body["data"]
        return httpx.Response(200, json=body, headers={"X-Message-Id": "1"})

    def sent(self, provider: Provider, email: Email) -> httpx.Request:
        provider.send(email, "welcome/123")
        return self.request

    def json(self) -> Any:
        return json.loads(self.request.content)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(params=["plain", "with pictures"])
def email(request: pytest.FixtureRequest, email: Email, pictured: Email) -> Email:
    return email if request.param == "plain" else pictured


@pytest.fixture
def welcome() -> Email:
    """Return the mail of the recorded requests."""
    return Email(
        from_=Mailbox("no-reply@example.com", "Acme"),
        to="ada@example.org",
        subject="Hello",
        html="<p>hi</p>",
        text="hi",
        reply_to=Mailbox("help@example.com"),
        headers={"X-Entity-Ref-ID": "123"},
        tags={"kind": "welcome"},
    )


def spec(contracts: Path, name: str) -> Spec:
    text = (contracts / name).read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return cast(Spec, json.loads(text) if name.endswith(".json") else yaml.load(text, loader))  # noqa: S506


def resolved(whole: Spec, schema: Spec) -> Spec:
    while "$ref" in schema:
        path, schema = schema["$ref"].removeprefix("#/").split("/"), whole
        for part in path:
            schema = schema[part.replace("~1", "/").replace("~0", "~")]
    return schema


def unknown_keys(whole: Spec, schema: Spec, value: Any, path: str = "") -> list[str]:
    """Return the keys of `value` that the schema does not list: most schemas accept a misspelled key."""
    schema = resolved(whole, schema)
    for alternative in schema.get("oneOf", []):
        kind = {"string": str, "array": list, "object": dict}[resolved(whole, alternative)["type"]]
        if isinstance(value, kind):
            return unknown_keys(whole, alternative, value, path)
    if isinstance(value, list) and "items" in schema:
        keys = [unknown_keys(whole, schema["items"], item, f"{path}[]") for item in value]
        return sorted({name for names in keys for name in names})
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    listed = schema["properties"]
    below = [unknown_keys(whole, listed[key], item, f"{path}.{key}") for key, item in value.items() if key in listed]
    return sorted([f"{path}.{key}" for key in value if key not in listed] + [key for keys in below for key in keys])


def mismatches(whole: Spec, schema: Spec, value: Any, validator: type = Draft202012Validator) -> list[str]:
    """Return the places where `value` violates the schema."""
    shared = {name: whole[name] for name in ("components", "definitions") if name in whole}
    return sorted(".".join(map(str, error.path)) for error in validator({**schema, **shared}).iter_errors(value))


def body_schema(whole: Spec, path: str) -> Spec:
    body = resolved(whole, whole["paths"][path]["post"]["requestBody"])
    return cast(Spec, body["content"]["application/json"]["schema"])


def test_the_resend_request_fits_its_specification(contracts: Path, recorder: Recorder, email: Email) -> None:
    whole = spec(contracts, "resend/resend.json")
    recorder.sent(Resend("re_test", recorder.transport), email)

    schema = body_schema(whole, "/emails")
    assert mismatches(whole, schema, recorder.json()) == []
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_the_resend_batch_fits_its_specification(contracts: Path, recorder: Recorder, email: Email) -> None:
    whole = spec(contracts, "resend/resend.json")
    plain = replace(email, images=())  # its documentation: "attachments is not supported yet" (2026-11)
    Resend("re_test", recorder.transport).send_batch([plain, plain], "batch/123")

    schema = body_schema(whole, "/emails/batch")
    assert len(recorder.json()) == 2
    assert mismatches(whole, schema, recorder.json()) == []
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_the_sendgrid_request_fits_its_specification_but_for_a_known_error(
    contracts: Path, recorder: Recorder, email: Email
) -> None:
    whole = spec(contracts, "sendgrid/tsg_mail_v3.json")
    recorder.sent(SendGrid("SG.test", recorder.transport), email)

    schema = body_schema(whole, "/v3/mail/send")
    known_error = "custom_args"  # typed as a string there; its own SDK sends an object
    assert mismatches(whole, schema, recorder.json()) == [known_error]
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_the_postmark_request_fits_its_outdated_specification(
    contracts: Path, recorder: Recorder, email: Email
) -> None:
    whole = spec(contracts, "postmark/postmark-server-openapi-original.yml")
    recorder.sent(Postmark("token", recorder.transport), email)

    schema = {"$ref": "#/definitions/SendEmailRequest"}
    assert mismatches(whole, schema, recorder.json(), Draft4Validator) == []
    assert unknown_keys(whole, schema, recorder.json()) == [".MessageStream", ".Metadata"]


def test_the_mailgun_form_fits_its_specification(contracts: Path, recorder: Recorder, email: Email) -> None:
    whole = spec(contracts, "mailgun/openapi.yaml")
    request = recorder.sent(Mailgun("key", recorder.transport), email)
    form = form_of(request)

    body = whole["paths"]["/v3/{domain_name}/messages"]["post"]["requestBody"]
    schema = resolved(whole, body["content"]["multipart/form-data"]["schema"])
    listed = {name: form[name] for name in form if not name.startswith(("h:", "v:"))}
    lists = {name: [value] for name, value in listed.items() if schema["properties"][name].get("type") == "array"}
    assert mismatches(whole, schema, listed | lists) == []
    assert listed.keys() <= schema["properties"].keys()
    assert {"h:X-My-Header", "v:my-var"} <= schema["properties"].keys(), "how headers and variables are named"


def form_of(request: httpx.Request) -> dict[str, str]:
    """Return the form of a request in either of its two encodings."""
    content_type = request.headers["content-type"]
    if not content_type.startswith("multipart/"):
        return dict(parse_qsl(request.content.decode()))
    letter = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + request.content)
    parts = [part for part in letter.walk() if not part.is_multipart()]
    names = [part.get_param("name", header="content-disposition") for part in parts]
    return {
        str(name): cast(bytes, part.get_payload(decode=True)).decode(errors="replace")
        for name, part in zip(names, parts, strict=True)
    }


def mailbox(text: str) -> tuple[str, str]:
    [address] = cast(AddressHeader, HeaderRegistry()("to", text)).addresses
    return address.display_name, address.addr_spec


def normalized(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with its mailboxes parsed; without the name of the recipient, which Mailroom does not send."""
    senders = {"from", "From", "reply_to", "ReplyTo", "h:Reply-To"}
    recipients = {"to", "To"}
    result = dict(body)
    for name, value in body.items():
        value = value[0] if name in recipients and isinstance(value, list) else value
        if name in senders and isinstance(value, str):
            result[name] = mailbox(value)
        elif name in recipients:
            result[name] = mailbox(value)[1]
    return result


def recorded(contracts: Path, sdk: str) -> httpx.Request:
    capture = json.loads((contracts / "sdk-captures" / f"{sdk}.json").read_text())["request"]
    url = f"https://example.com{capture['path']}"
    return httpx.Request(capture["method"], url, headers=capture["headers"], content=capture["body"].encode())


def test_the_resend_request_equals_that_of_its_sdk(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs, ours = recorded(contracts, "resend"), recorder.sent(Resend("re_test", recorder.transport), welcome)

    for header in ("authorization", "content-type", "idempotency-key"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    body = normalized(recorder.json())
    assert body["headers"].pop("Content-Language") == "en", NOT_IN_EXAMPLE
    assert body == normalized(json.loads(theirs.content))


def test_the_sendgrid_request_equals_that_of_its_sdk(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs, ours = recorded(contracts, "sendgrid"), recorder.sent(SendGrid("SG.test", recorder.transport), welcome)

    for header in ("authorization", "content-type"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    body, example = recorder.json(), json.loads(theirs.content)
    assert body["headers"].pop("Content-Language") == "en", NOT_IN_EXAMPLE
    assert not any(setting["enable"] for setting in body.pop("tracking_settings").values()), NOT_IN_EXAMPLE
    assert (body.pop("custom_args"), example.pop("custom_args")) == ({"kind": "welcome"}, {"user_id": "123"})
    del example["personalizations"][0]["to"][0]["name"]
    assert body == example


def test_the_mailgun_request_equals_that_of_its_sdk(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs = recorded(contracts, "mailgun")
    ours = recorder.sent(Mailgun("key-test", recorder.transport, domain="mg.example.com"), welcome)

    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert b64decode(ours.headers["authorization"].removeprefix("Basic ")) == b"api:key-test"
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    body, example = (normalized(form_of(request)) for request in (ours, theirs))
    assert body.pop("h:Content-Language") == "en", NOT_IN_EXAMPLE
    assert {body.pop(name) for name in list(body) if name.startswith("o:tracking")} == {"no"}, NOT_IN_EXAMPLE
    assert body.pop("v:kind") == "welcome"
    assert (example.pop("v:user_id"), example.pop("o:testmode")) == ("123", "yes")
    assert body == example


def test_the_postmark_request_equals_that_of_its_sdk(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs = recorded(contracts, "postmark")
    ours = recorder.sent(Postmark("POSTMARK_API_TEST", recorder.transport), welcome)

    for header in ("x-postmark-server-token", "content-type"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    body, example = normalized(recorder.json()), normalized(json.loads(theirs.content))
    assert body["Headers"].pop(0) == {"Name": "Content-Language", "Value": "en"}, NOT_IN_EXAMPLE
    assert (body.pop("TrackOpens"), body.pop("TrackLinks")) == (False, "None"), NOT_IN_EXAMPLE
    assert (body.pop("Metadata"), example.pop("Metadata")) == ({"kind": "welcome"}, {"user_id": "123"})
    assert example.pop("Attachments") == []
    assert body == example


def test_the_signature_equals_the_standard_webhooks_vectors(contracts: Path) -> None:
    vectors = json.loads((contracts / "standard-webhooks" / "vectors.json").read_text())
    hmacs = [vector for vector in vectors if vector["scheme"].startswith("v1 ")]

    assert hmacs
    for vector in hmacs:
        secret = b64decode(vector["secret"].removeprefix("whsec_"))
        signature = sign(secret, vector["msg_id"], vector["timestamp"], vector["payload"].encode())
        assert signature == vector["signature"]


def test_the_http_provider_sends_the_key_as_id_and_signs_with_each_secret(recorder: Recorder, email: Email) -> None:
    provider = Http("https://mail.example.com/in", (b"new", b"old"), recorder.transport, lambda: 1614265330.9)
    request = recorder.sent(provider, email)

    assert (request.headers["webhook-id"], request.headers["webhook-timestamp"]) == ("welcome/123", "1614265330")
    expected = [sign(secret, "welcome/123", "1614265330", request.content) for secret in (b"new", b"old")]
    assert request.headers["webhook-signature"].split() == expected


@pytest.mark.parametrize("domain", ["https://api.eu.mailgun.net", "https://api.mailgun.net"])
def test_mailgun_is_called_in_the_configured_region_for_the_senders_domain(
    domain: str, recorder: Recorder, email: Email
) -> None:
    request = recorder.sent(Mailgun("key", recorder.transport, domain), email)

    assert str(request.url) == f"{domain}/v3/example.com/messages"


def test_a_mailgun_placeholder_in_a_name_has_no_effect(recorder: Recorder, email: Email) -> None:
    stranger = Email(email.from_, email.to, "Hi %recipient_email%", "50% of %unsubscribe_url%", "a%20b%", tags={})
    recorder.sent(Mailgun("key", recorder.transport), stranger)

    form = form_of(recorder.request)
    assert form["subject"] == "Hi %\u2060recipient_email%"
    assert (form["html"], form["text"]) == ("50% of %\u2060unsubscribe_url%", "a%20b%")
