"""What goes over the wire, against what others wrote: specifications, and requests recorded from official SDKs."""

import json
from base64 import b64decode
from collections.abc import Mapping
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
from mailroom.providers import Provider
from mailroom.providers.http import Http, sign
from mailroom.providers.mailgun import Mailgun
from mailroom.providers.postmark import Postmark
from mailroom.providers.resend import Resend
from mailroom.providers.sendgrid import SendGrid

Spec = dict[str, Any]
OURS_ALONE = "what Mailroom sends beyond the SDK's example"


class Recorder:
    """A provider that keeps the last request and always answers well."""

    def __init__(self) -> None:
        self.transport = httpx.MockTransport(self._answer)
        self.request = httpx.Request("POST", "https://example.com")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        count = len(json.loads(request.content)) if request.url.path.endswith("/batch") else 1
        data = [{"id": str(number)} for number in range(count)]
        said = {"id": "1", "data": data, "message": "Queued.", "MessageID": "1", "ErrorCode": 0}
        if not request.url.path.endswith("/batch"):
            del said["data"]
        return httpx.Response(200, json=said, headers={"X-Message-Id": "1"})

    def sent(self, provider: Provider, email: Email) -> httpx.Request:
        provider.send(email, "welcome/123")
        return self.request

    def json(self) -> Any:
        return json.loads(self.request.content)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def welcome() -> Email:
    """The mail of the recorded requests."""
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
        found: Any = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


def unknown_keys(whole: Spec, schema: Spec, value: Any, path: str = "") -> list[str]:
    """Name every key of `value` that the schema does not list: a typo passes most schemas unseen."""
    schema = resolved(whole, schema)
    for alternative in schema.get("oneOf", []):
        kind = {"string": str, "array": list, "object": dict}[resolved(whole, alternative)["type"]]
        if isinstance(value, kind):
            return unknown_keys(whole, alternative, value, path)
    if isinstance(value, list) and "items" in schema:
        found = [unknown_keys(whole, schema["items"], item, f"{path}[]") for item in value]
        return sorted({name for names in found for name in names})
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    deeper = [unknown_keys(whole, known[name], item, f"{path}.{name}") for name, item in value.items() if name in known]
    return sorted(
        [f"{path}.{name}" for name in value if name not in known] + [name for names in deeper for name in names]
    )


def mismatches(whole: Spec, schema: Spec, value: Any, validator: type = Draft202012Validator) -> list[str]:
    """Name every place where `value` breaks the schema."""
    shared = {name: whole[name] for name in ("components", "definitions") if name in whole}
    return sorted(".".join(map(str, error.path)) for error in validator({**schema, **shared}).iter_errors(value))


def body_schema(whole: Spec, path: str) -> Spec:
    body = resolved(whole, whole["paths"][path]["post"]["requestBody"])
    return cast(Spec, body["content"]["application/json"]["schema"])


def test_resend_takes_our_request_as_its_specification_says(contracts: Path, recorder: Recorder, email: Email) -> None:
    whole = spec(contracts, "resend/resend.json")
    recorder.sent(Resend("re_test", recorder.transport), email)

    schema = body_schema(whole, "/emails")
    assert mismatches(whole, schema, recorder.json()) == []
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_resend_takes_our_batch_as_its_specification_says(contracts: Path, recorder: Recorder, email: Email) -> None:
    whole = spec(contracts, "resend/resend.json")
    Resend("re_test", recorder.transport).send_batch([email, email], "batch/123")

    schema = body_schema(whole, "/emails/batch")
    assert len(recorder.json()) == 2
    assert mismatches(whole, schema, recorder.json()) == []
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_sendgrid_takes_our_request_but_for_the_known_error_of_its_specification(
    contracts: Path, recorder: Recorder, email: Email
) -> None:
    whole = spec(contracts, "sendgrid/tsg_mail_v3.json")
    recorder.sent(SendGrid("SG.test", recorder.transport), email)

    schema = body_schema(whole, "/v3/mail/send")
    known_error = "custom_args"  # typed as a string there; its own SDK sends an object
    assert mismatches(whole, schema, recorder.json()) == [known_error]
    assert unknown_keys(whole, schema, recorder.json()) == []


def test_postmark_takes_our_request_but_for_what_its_specification_is_too_old_to_know(
    contracts: Path, recorder: Recorder, email: Email
) -> None:
    whole = spec(contracts, "postmark/postmark-server-openapi-original.yml")
    recorder.sent(Postmark("token", recorder.transport), email)

    schema = {"$ref": "#/definitions/SendEmailRequest"}
    assert mismatches(whole, schema, recorder.json(), Draft4Validator) == []
    assert unknown_keys(whole, schema, recorder.json()) == [".MessageStream", ".Metadata"]


def test_mailgun_takes_our_form_as_its_specification_says(contracts: Path, recorder: Recorder, email: Email) -> None:
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
    """Read the form of a request, whichever of the two ways it is written."""
    content_type = request.headers["content-type"]
    if not content_type.startswith("multipart/"):
        return dict(parse_qsl(request.content.decode()))
    letter = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + request.content)
    parts = [part for part in letter.walk() if not part.is_multipart()]
    names = [part.get_param("name", header="content-disposition") for part in parts]
    return {
        str(name): cast(bytes, part.get_payload(decode=True)).decode() for name, part in zip(names, parts, strict=True)
    }


def mailbox(text: str) -> tuple[str, str]:
    [address] = cast(AddressHeader, HeaderRegistry()("to", text)).addresses
    return address.display_name, address.addr_spec


def in_one_way(said: Mapping[str, Any]) -> dict[str, Any]:
    """Write the addresses of a body in one of the many ways that mean the same. A reader's name is not ours to say."""
    senders = {"from", "From", "reply_to", "ReplyTo", "h:Reply-To"}
    readers = {"to", "To"}
    found = dict(said)
    for name, value in said.items():
        value = value[0] if name in readers and isinstance(value, list) else value
        if name in senders and isinstance(value, str):
            found[name] = mailbox(value)
        elif name in readers:
            found[name] = mailbox(value)[1]
    return found


def recorded(contracts: Path, sdk: str) -> httpx.Request:
    capture = json.loads((contracts / "sdk-captures" / f"{sdk}.json").read_text())["request"]
    url = f"https://example.com{capture['path']}"
    return httpx.Request(capture["method"], url, headers=capture["headers"], content=capture["body"].encode())


def test_resend_hears_from_us_what_its_own_sdk_says(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs, ours = recorded(contracts, "resend"), recorder.sent(Resend("re_test", recorder.transport), welcome)

    for header in ("authorization", "content-type", "idempotency-key"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    said = in_one_way(recorder.json())
    assert said["headers"].pop("Content-Language") == "en", OURS_ALONE
    assert said == in_one_way(json.loads(theirs.content))


def test_sendgrid_hears_from_us_what_its_own_sdk_says(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs, ours = recorded(contracts, "sendgrid"), recorder.sent(SendGrid("SG.test", recorder.transport), welcome)

    for header in ("authorization", "content-type"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    said, example = recorder.json(), json.loads(theirs.content)
    assert said["headers"].pop("Content-Language") == "en", OURS_ALONE
    assert not any(setting["enable"] for setting in said.pop("tracking_settings").values()), OURS_ALONE
    assert (said.pop("custom_args"), example.pop("custom_args")) == ({"kind": "welcome"}, {"user_id": "123"})
    del example["personalizations"][0]["to"][0]["name"]
    assert said == example


def test_mailgun_hears_from_us_what_its_own_sdk_says(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs = recorded(contracts, "mailgun")
    ours = recorder.sent(Mailgun("key-test", recorder.transport, domain="mg.example.com"), welcome)

    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert b64decode(ours.headers["authorization"].removeprefix("Basic ")) == b"api:key-test"
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    said, example = (in_one_way(form_of(request)) for request in (ours, theirs))
    assert said.pop("h:Content-Language") == "en", OURS_ALONE
    assert {said.pop(name) for name in list(said) if name.startswith("o:tracking")} == {"no"}, OURS_ALONE
    assert said.pop("v:kind") == "welcome"
    assert (example.pop("v:user_id"), example.pop("o:testmode")) == ("123", "yes")
    assert said == example


def test_postmark_hears_from_us_what_its_own_sdk_says(contracts: Path, recorder: Recorder, welcome: Email) -> None:
    theirs = recorded(contracts, "postmark")
    ours = recorder.sent(Postmark("POSTMARK_API_TEST", recorder.transport), welcome)

    for header in ("x-postmark-server-token", "content-type"):
        assert ours.headers[header] == theirs.headers[header]
    assert (ours.method, ours.url.path) == (theirs.method, theirs.url.path)
    said, example = in_one_way(recorder.json()), in_one_way(json.loads(theirs.content))
    assert said["Headers"].pop(0) == {"Name": "Content-Language", "Value": "en"}, OURS_ALONE
    assert (said.pop("TrackOpens"), said.pop("TrackLinks")) == (False, "None"), OURS_ALONE
    assert (said.pop("Metadata"), example.pop("Metadata")) == ({"kind": "welcome"}, {"user_id": "123"})
    assert example.pop("Attachments") == []
    assert said == example


def test_our_signature_is_the_one_of_the_standard_webhooks_vectors(contracts: Path) -> None:
    vectors = json.loads((contracts / "standard-webhooks" / "vectors.json").read_text())
    hmacs = [vector for vector in vectors if vector["scheme"].startswith("v1 ")]

    assert hmacs
    for vector in hmacs:
        secret = b64decode(vector["secret"].removeprefix("whsec_"))
        signature = sign(secret, vector["msg_id"], vector["timestamp"], vector["payload"].encode())
        assert signature == vector["signature"]


def test_a_mail_service_of_ones_own_gets_the_key_as_id_and_a_signature_for_each_secret(
    recorder: Recorder, email: Email
) -> None:
    provider = Http("https://mail.example.com/in", (b"new", b"old"), recorder.transport, lambda: 1614265330.9)
    request = recorder.sent(provider, email)

    assert (request.headers["webhook-id"], request.headers["webhook-timestamp"]) == ("welcome/123", "1614265330")
    expected = [sign(secret, "welcome/123", "1614265330", request.content) for secret in (b"new", b"old")]
    assert request.headers["webhook-signature"].split() == expected


@pytest.mark.parametrize("domain", ["https://api.eu.mailgun.net", "https://api.mailgun.net"])
def test_mailgun_is_asked_in_the_operators_region_about_the_senders_own_domain(
    domain: str, recorder: Recorder, email: Email
) -> None:
    request = recorder.sent(Mailgun("key", recorder.transport, domain), email)

    assert str(request.url) == f"{domain}/v3/example.com/messages"


def test_mailgun_finds_no_placeholder_of_its_own_in_what_a_stranger_wrote(recorder: Recorder, email: Email) -> None:
    stranger = Email(email.from_, email.to, "Hi %recipient_email%", "50% of %unsubscribe_url%", "a%20b%", tags={})
    recorder.sent(Mailgun("key", recorder.transport), stranger)

    form = form_of(recorder.request)
    assert form["subject"] == "Hi %\u2060recipient_email%"
    assert (form["html"], form["text"]) == ("50% of %\u2060unsubscribe_url%", "a%20b%")
