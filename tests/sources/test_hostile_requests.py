"""Requests of every source as a forger or a broken proxy would send them: forged, replayed, stale, cut, too large."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailroom.aws.client import Aws
from mailroom.model.message import Message
from mailroom.sources import registry
from mailroom_ops.local.source_requests import SourceRequest, SourceRequests
from tests.cloud import put
from tests.sources.rendered import Rendered
from tests.sources.webhook import Answer, Webhook

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "ops/mailroom_ops/local"
REQUESTS = SourceRequests(ROOT, LOCAL / "secrets.yaml")
NOW = 1_800_000_000.0
HOUR = 3600.0
NAMES = (*registry.NAMES, *registry.SEALED)
IN_TOKEN = ("entra", "hanko")  # authenticated by a JSON Web Token
# Their requests have neither an id nor a time of the mail: after an hour, the same bytes are another request for it.
WITHOUT_ID = ("logto", "kratos", "casdoor", "zitadel")
WITH_OPTIONAL_ID = ("rendered", "auth0")  # in a field of the body
TOO_LARGE = 1024 * 1024 + 1


class Endpoint:
    """The function of a source, with the source's local secrets or with others."""

    def __init__(self, aws: Aws, source: str, settings: Mapping[str, str] = {}) -> None:
        self.source = source
        for name, value in {**REQUESTS.tenants(source)["default"], **settings}.items():
            put(aws, f"webhooks/{source}/{name}", value)
        self.function = (Webhook if source in registry.NAMES else Rendered)(aws)

    def post(self, request: SourceRequest, at: float = NOW, **changes: str) -> Answer:
        return self.function.post(self.source, {**request.headers, **changes}, request.body, at)

    def messages(self) -> list[Message]:
        return self.function.messages()


@pytest.fixture(params=NAMES)
def endpoint(request: pytest.FixtureRequest, aws: Aws, environment: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(aws, request.param)


def signed_again(request: SourceRequest, body: bytes, at: float) -> SourceRequest:
    """Return a request with another body or a later time, authenticated as its sender would."""
    headers, source = dict(request.headers), request.source
    if "webhook-signature" in headers:
        secret = REQUESTS.tenants(source)["default"]["secret"].rpartition("whsec_")[2]
        headers["webhook-timestamp"] = f"{at:.0f}"
        text = f"{headers['webhook-id']}.{at:.0f}.".encode() + body
        digest = hmac.digest(base64.b64decode(secret), text, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    elif source == "zitadel":
        key = REQUESTS.tenants(source)["default"]["secret"].encode()
        signature = hmac.digest(key, f"{at:.0f}.".encode() + body, hashlib.sha256).hex()
        headers["zitadel-signature"] = f"t={at:.0f},v1={signature}"
    elif source == "neon":
        headers["x-neon-timestamp"] = f"{at * 1000:.0f}"
        header = headers["x-neon-signature"].partition(".")[0]
        payload = base64url(f"{at * 1000:.0f}.{base64url(body)}".encode())
        key_data = base64.urlsafe_b64decode(private_keys()["neon"]["d"] + "==")
        signed = Ed25519PrivateKey.from_private_bytes(key_data).sign(f"{header}.{payload}".encode())
        headers["x-neon-signature"] = f"{header}..{base64url(signed)}"
    elif source == "entra":  # whose token does not depend on the body
        headers["authorization"] = REQUESTS.make("entra", at).headers["authorization"]
    return SourceRequest(source, request.path, headers, body)


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def private_keys() -> dict[str, Any]:
    keys: dict[str, Any] = json.loads((LOCAL / "signing_keys.json").read_text("utf-8"))
    return keys


def other_settings(source: str) -> Mapping[str, str]:
    """Return settings by which the local requests of a source are forged: of another secret or key of the same name."""
    settings = REQUESTS.tenants(source)["default"]
    if secrets := registry.load(source, NAMES).secrets:
        return {name: other_secret(settings[name]) for name in secrets}
    keys = json.loads(settings["keys"])
    if source == "neon":
        keys["keys"][0]["x"] = base64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    else:
        other = json.loads(REQUESTS.tenants("hanko" if source == "entra" else "entra")["default"]["keys"])
        keys["keys"][0]["n"] = other["keys"][0]["n"]
    return {"keys": json.dumps(keys)}


def other_secret(value: str) -> str:
    """Return another secret of the same form."""
    if "whsec_" in value:
        return "whsec_YW5vdGhlci1zZWNyZXQtMDAwMDAx"
    return f"{'Bearer ' * value.startswith('Bearer ')}another-secret"


def padded(request: SourceRequest) -> bytes:
    """Return the body with a field that makes it too large."""
    padding = "x" * TOO_LARGE
    if request.source == "casdoor":
        return request.body + f"&padding={padding}".encode()
    return json.dumps({**json.loads(request.body), "padding": padding}).encode()


@pytest.mark.parametrize("source", NAMES)
def test_a_forged_request_is_refused(aws: Aws, environment: pytest.MonkeyPatch, source: str) -> None:
    endpoint = Endpoint(aws, source, other_settings(source))
    answer = endpoint.post(REQUESTS.make(source, NOW))
    assert (answer.status, answer.body.endswith(".")) == (401, True)
    assert endpoint.messages() == []


def with_body(request: SourceRequest, body: bytes) -> SourceRequest:
    return SourceRequest(request.source, request.path, request.headers, body)


def without_credentials(request: SourceRequest) -> SourceRequest:
    headers = {"content-type": request.headers["content-type"]}
    body = b'{"event":"email.send"}' if request.source == "hanko" else request.body
    return SourceRequest(request.source, request.path, headers, body)


def redirected(request: SourceRequest) -> SourceRequest:
    return with_body(request, request.body.replace(b"example.com", b"example.net"))


def truncated(request: SourceRequest) -> SourceRequest:
    return with_body(request, request.body[: len(request.body) // 2])


def truncated_by_its_sender(request: SourceRequest) -> SourceRequest:
    return signed_again(request, request.body[: len(request.body) // 2], NOW)


def oversized(request: SourceRequest) -> SourceRequest:
    return signed_again(request, padded(request), NOW)


def of_another_type(request: SourceRequest) -> SourceRequest:
    headers = {**request.headers, "content-type": "text/html"}
    return SourceRequest(request.source, request.path, headers, request.body)


Damage = Callable[[SourceRequest], SourceRequest]


def refusals(request: SourceRequest) -> Mapping[Damage, int]:
    """Return the status of the answer to each damage."""
    cut = 422 if request.source == "casdoor" else 400  # half a form is a form
    statuses: dict[Damage, int] = {without_credentials: 401, truncated_by_its_sender: cut, oversized: 413}
    statuses[of_another_type] = 415
    if request.source == "hanko":  # the token is in the body: without a body that is read, nothing is authenticated
        return dict.fromkeys([*statuses, truncated], 401)
    if request.is_signed:
        return statuses | {truncated: 401, redirected: 401}
    return statuses | {truncated: cut}


def test_a_damaged_request_gets_one_sentence_and_sends_nothing(endpoint: Endpoint) -> None:
    request = REQUESTS.make(endpoint.source, NOW)
    for damage, status in refusals(request).items():
        answer = endpoint.post(damage(request))
        assert answer.status == status, damage.__name__
        assert answer.body.endswith("."), damage.__name__
    assert endpoint.messages() == []


def test_a_replayed_request_is_one_mail(endpoint: Endpoint) -> None:
    request = REQUESTS.make(endpoint.source, NOW)
    assert [endpoint.post(request, at).status for at in (NOW, NOW + 20)] == [200, 200]
    first, again = endpoint.messages()
    assert first.identity == again.identity


def test_a_stale_request_is_refused_where_its_time_is_signed(endpoint: Endpoint) -> None:
    request = REQUESTS.make(endpoint.source, NOW)
    has_time = request.is_signed or endpoint.source in IN_TOKEN
    assert endpoint.post(request, NOW + HOUR).status == (401 if has_time else 200)


def test_a_retry_after_an_hour_is_the_same_mail(endpoint: Endpoint) -> None:
    request = REQUESTS.make(endpoint.source, NOW)
    if endpoint.source == "hanko":  # it repeats nothing, and its token, which holds the mail, has expired
        return
    if endpoint.source in WITH_OPTIONAL_ID:
        example = {**json.loads(request.body), "id": "mail-1"}
        request = REQUESTS.make(endpoint.source, NOW, example=example)
    for at in (NOW, NOW + HOUR):
        assert endpoint.post(signed_again(request, request.body, at), at).status == 200
    first, again = endpoint.messages()
    if first.id == again.id:
        assert first == again  # with its end, so that it is not sent after that
        return
    is_same = first.identity == again.identity and again.identity_seconds > HOUR
    assert is_same is (endpoint.source not in WITHOUT_ID)
