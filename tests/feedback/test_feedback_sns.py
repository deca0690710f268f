"""SES's events through a topic over HTTPS: signed by the topic we named, with a certificate from its own host."""

import base64
import datetime
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from mailroom.errors import RequestError, TemporaryFailure
from mailroom.feedback import sns
from mailroom.model.event import Report
from mailroom.request import Request

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123.pem"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t0"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


class Internet(dict[str, bytes]):
    """What there is to fetch, and what was fetched."""

    def __init__(self) -> None:
        super().__init__({CERTIFICATE: certificate(KEY), SUBSCRIBE: b"<ConfirmSubscriptionResponse/>"})
        self.fetched: list[str] = []

    def get_it(self, url: str) -> bytes:
        self.fetched.append(url)
        if url not in self:
            raise RequestError(400, "What this message points to is not there.")
        return self[url]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    found = Internet()
    monkeypatch.setattr(sns, "get", found.get_it)
    sns.keys.clear()
    yield found
    sns.keys.clear()


def event() -> dict[str, Any]:
    mail = {"messageId": "0100", "destination": ["a@example.com"], "tags": {"message_id": ["0" * 32]}}
    return {"eventType": "Delivery", "mail": mail, "delivery": {"timestamp": "2026-11-20T19:13:28.250Z"}}


def said(kind: str = "Notification", **changes: Any) -> dict[str, Any]:
    """Return a message of SNS, signed."""
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC).isoformat(timespec="milliseconds")
    body = {
        "Type": kind,
        "MessageId": "m1",
        "TopicArn": TOPIC,
        "Timestamp": now.replace("+00:00", "Z"),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
    }
    if kind == "Notification":
        body |= {"Message": json.dumps(event())}
    else:
        body |= {"Message": "You have chosen to subscribe …", "SubscribeURL": SUBSCRIBE, "Token": "t0"}
    return signed({**body, **changes})


def signed(body: dict[str, Any], key: rsa.RSAPrivateKey = KEY) -> dict[str, Any]:
    names = sorted(("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"))
    text = "".join(f"{name}\n{body[name]}\n" for name in names if body.get(name) is not None)
    digest = SHA1() if body["SignatureVersion"] == "1" else SHA256()  # noqa: S303 - SNS's own choice, unless told
    signature = key.sign(text.encode(), PKCS1v15(), digest)
    return {**body, "Signature": base64.b64encode(signature).decode()}


def read(body: Mapping[str, Any], topics: tuple[str, ...] = (TOPIC,)) -> Report:
    headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": str(body.get("Type"))}
    request = Request("POST", {"provider": "ses"}, headers, json.dumps(body).encode(), "192.0.2.1", time.time())
    return sns.read(request, "ses", {"topic_arn": topics})


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_message_of_our_topic_is_read(internet: Internet, version: str) -> None:
    (found,) = read(said(SignatureVersion=version)).events
    assert (found.what, found.provider_id, found.message_id) == ("delivered", "0100", "0" * 32)


def test_a_subject_is_signed_where_there_is_one(internet: Internet) -> None:
    body = said(Subject="Amazon SES Email Event Notification")
    assert read(body).events
    with pytest.raises(RequestError):
        read(body | {"Subject": "other"})
    assert read(said(Subject=None)).events


def test_a_certificate_is_fetched_once(internet: Internet) -> None:
    for _ in range(3):
        read(said())
    assert internet.fetched == [CERTIFICATE]


def test_a_subscription_to_our_topic_is_confirmed(internet: Internet) -> None:
    assert read(said("SubscriptionConfirmation")).events == ()
    assert internet.fetched == [CERTIFICATE, SUBSCRIBE]


def test_the_end_of_a_subscription_is_left_at_that(internet: Internet) -> None:
    assert read(said("UnsubscribeConfirmation")).events == ()
    assert internet.fetched == [CERTIFICATE]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://evil.example#@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://SNS.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.pem?b=c.txt#x",
        "https://sns.eu-west-1.amazonaws.com/a.txt",
        "https://sns.eu-west-1.amazonaws.com/a b\r\nHost: evil.example.pem",
        "https://[",
        "",
        None,
        7,
    ],
)
def test_a_certificate_from_elsewhere_is_not_fetched(internet: Internet, url: Any) -> None:
    internet["https://sns.eu-west-1.amazonaws.com/a.pem?b=c.txt#x"] = b"no certificate"
    with pytest.raises(RequestError) as refused:
        read(said(SigningCertURL=url))
    assert refused.value.status in (400, 401)
    assert not [fetched for fetched in internet.fetched if not fetched.startswith(f"{HOST}/")]


@pytest.mark.parametrize("url", ["https://evil.example/confirm", "http://169.254.169.254/latest", "", None])
def test_a_confirmation_that_leads_elsewhere_is_not_followed(internet: Internet, url: Any) -> None:
    with pytest.raises(RequestError):
        read(said("SubscriptionConfirmation", SubscribeURL=url))
    assert internet.fetched in ([], [CERTIFICATE])


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature"])
def test_no_part_can_be_changed_left_out_or_be_no_text(internet: Internet, name: str) -> None:
    body = said()
    without = {key: value for key, value in body.items() if key != name}
    changed = {"Type": "UnsubscribeConfirmation", "TopicArn": f"{TOPIC}2"}.get(name, f"{body[name]} ")
    for wrong in (without, body | {name: changed}, body | {name: None}, body | {name: [body[name]]}, body | {name: 1}):
        if name == "Signature" and wrong.get(name) == f"{body[name]} ":
            continue
        with pytest.raises(RequestError) as refused:
            read(wrong)
        assert refused.value.status == 401


def test_another_topic_is_not_ours_however_well_it_signs(internet: Internet) -> None:
    with pytest.raises(RequestError, match="topic"):
        read(said(TopicArn=TOPIC.replace("123456789012", "999999999999")))
    assert internet.fetched == []


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z", "yesterday"])
def test_an_old_message_is_refused_before_anything_is_fetched(internet: Internet, moment: str) -> None:
    with pytest.raises(RequestError, match="time"):
        read(said(Timestamp=moment))
    assert internet.fetched == []


@pytest.mark.parametrize("version", ["", "3", None, 2])
def test_a_signature_of_another_version_is_refused(internet: Internet, version: Any) -> None:
    with pytest.raises(RequestError):
        read(said() | {"SignatureVersion": version})


def test_somebody_elses_key_is_refused(internet: Internet) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(RequestError):
        read(signed(said(), other))


@pytest.mark.parametrize("found", [b"", b"no certificate", certificate(ec.generate_private_key(ec.SECP256R1()))])
def test_what_is_no_certificate_of_rsa_is_refused(internet: Internet, found: bytes) -> None:
    internet[CERTIFICATE] = found
    with pytest.raises(RequestError):
        read(said())


def test_raw_delivery_carries_no_signature_and_is_refused(internet: Internet, contracts: Path) -> None:
    for sample in json.loads((contracts / "ses/ses-event-samples-from-aws-docs.json").read_text()):
        with pytest.raises(RequestError):
            read(sample["event"])


def test_every_event_that_ses_documents_is_read_through_a_topic(internet: Internet, contracts: Path) -> None:
    for sample in json.loads((contracts / "ses/ses-event-samples-from-aws-docs.json").read_text()):
        silent = sample["event"].get("eventType") in ("Send", "Subscription")
        assert bool(read(said(Message=json.dumps(sample["event"]))).events) is not silent


class Host(BaseHTTPRequestHandler):
    """A host with a certificate, a redirect, and no end."""

    def do_GET(self) -> None:
        status, headers, body = {
            "/a.pem?b=c": (200, {}, b"the certificate"),
            "/moved.pem": (302, {"location": "/a.pem?b=c"}, b"elsewhere"),
            "/endless.pem": (200, {}, b"x" * 200_000),
        }.get(self.path, (404, {}, b"not here"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_fetched_comes_over_tls_and_has_an_end(host: str) -> None:
    assert sns.get(f"{host}/a.pem?b=c") == b"the certificate"
    assert len(sns.get(f"{host}/endless.pem")) == sns.LONGEST_ANSWER


@pytest.mark.parametrize("path", ["/moved.pem", "/missing.pem"])
def test_nothing_is_followed_and_nothing_else_is_taken(host: str, path: str) -> None:
    with pytest.raises(RequestError):
        sns.get(host + path)


def test_a_host_that_is_not_who_it_says_is_not_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(TemporaryFailure):
        sns.get(f"{host}/a.pem?b=c")
