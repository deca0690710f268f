"""The Auth0 Action in Node, with Auth0's documented events, against the real function."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom_ops.web.server import Request, Response
from tests.cloud import put
from tests.serving import serving
from tests.sources.rendered import Rendered, content_of
from tests.sources.webhook import event as gateway_event

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "clients" / "auth0" / "custom-email-provider.js"
SECRET = "whsec_bWFpbHJvb20tdGVzdC1hdXRoMC1zZWNyZXQ="
KINDS = {
    "blocked_account": "security-notice",
    "enrollment_email": "bind-mfa-code",
    "mfa_oob_code": "mfa-code",
    "organization_invitation": "organization-invitation",
    "reset_email": "password-reset",
    "reset_email_by_code": "password-reset",
    "stolen_credentials": "security-notice",
    "try_provider_configuration_email": "rendered",
    "verification_code": "generic-code",
    "verify_email": "email-confirmation",
    "verify_email_by_code": "email-confirmation",
    "welcome_email": "notification",
}

pytestmark = pytest.mark.skipif(which("node") is None, reason="needs node: apt-get install nodejs")


class Endpoint:
    """The rendered function behind an HTTP port, or an answer in its place."""

    def __init__(self, aws: Aws) -> None:
        self.function = Rendered(aws)
        self.answer: Response | None = None
        self.url = ""
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answer:
            return self.answer
        headers = dict(request.headers)
        sent = gateway_event("auth0", headers, request.body, time.time()) | {"routeKey": "ANY /webhooks/auth0"}
        answer = self.function.send(sent)
        return Response(answer.status, answer.body.encode(), tuple(answer.headers.items()))


@pytest.fixture
def endpoint(aws: Aws, environment: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    put(aws, "webhooks/auth0/secret", SECRET)
    endpoint = Endpoint(aws)
    with serving(endpoint) as port:
        endpoint.url = f"http://127.0.0.1:{port}/webhooks/auth0"
        yield endpoint


@pytest.fixture
def events(contracts: Path) -> dict[str, dict[str, Any]]:
    folder = contracts / "auth-servers" / "auth0" / "events"
    return {path.stem: json.loads(path.read_text("utf-8"))["event"] for path in folder.glob("*.json")}


def run(endpoint: Endpoint, event: dict[str, Any], secret: str = SECRET) -> list[list[str]]:
    """Execute the Action; return its calls of `api.notification`."""
    secrets = {"MAILROOM_URL": endpoint.url, "MAILROOM_SECRET": secret}
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("run.mjs"))],
        input=json.dumps({"path": str(ACTION), "event": event | {"secrets": secrets}}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls: list[list[str]] = json.loads(done.stdout)
    return calls


@pytest.mark.thorough
def test_every_type_of_mail_arrives_as_auth0_rendered_it(endpoint: Endpoint, events: dict[str, Any]) -> None:
    assert sorted(events) == sorted(KINDS)
    assert [call for event in events.values() for call in run(endpoint, event)] == []
    messages = {content_of(message).subject: message for message in endpoint.function.messages()}
    assert len(messages) == len(KINDS)
    for name, event in events.items():
        sent = event["notification"]
        message = messages[sent["subject"]]
        content = content_of(message)
        assert (message.kind, message.to, message.locales) == (KINDS[name], sent["to"], (sent["locale"],))
        assert (content.html, content.text.strip()) == (sent["html"], sent["text"].strip())
        assert message.client_ip == event["request"].get("ip", "")


def test_a_repeated_execution_is_the_same_mail(endpoint: Endpoint, events: dict[str, Any]) -> None:
    run(endpoint, events["verify_email"])
    run(endpoint, events["verify_email"])
    first, again = endpoint.function.messages()
    assert first.identity == again.identity
    assert first.identity_seconds == 86_400
    without = events["verify_email"] | {"transaction": None}
    run(endpoint, without)
    assert endpoint.function.messages()[-1].identity_seconds == 60


def test_no_secret_and_no_profile_leaves_auth0(endpoint: Endpoint, events: dict[str, Any]) -> None:
    run(endpoint, events["verify_email"])
    (request,) = endpoint.requests
    fields = {"to", "subject", "html", "text", "kind", "locale", "client_ip", "id"}
    assert set(json.loads(request.body)) == fields
    assert SECRET.removeprefix("whsec_") not in str(request.headers) + request.body.decode()


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_temporary_failure_is_tried_again(endpoint: Endpoint, events: dict[str, Any], status: int) -> None:
    endpoint.answer = Response(status, b"Please try again." * 100)
    ((call, reason),) = run(endpoint, events["reset_email"])
    assert call == "retry"
    assert reason.startswith(f"Mailroom: {status} Please try again.")
    assert len(reason) == 1024


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_a_refusal_is_final(endpoint: Endpoint, events: dict[str, Any], status: int) -> None:
    endpoint.answer = Response(status, b"No.")
    assert run(endpoint, events["reset_email"]) == [["drop", f"Mailroom: {status} No."]]


def test_a_redirect_is_not_followed(endpoint: Endpoint, events: dict[str, Any]) -> None:
    endpoint.answer = Response(302, b"", (("location", "https://example.com/"),))
    ((call, _),) = run(endpoint, events["reset_email"])
    assert call == "retry"
    assert len(endpoint.requests) == 1


def test_a_wrong_secret_drops_the_mail_with_the_reason(endpoint: Endpoint, events: dict[str, Any]) -> None:
    calls = run(endpoint, events["reset_email"], secret="whsec_d3Jvbmc=")
    assert calls == [["drop", "Mailroom: 401 This request could not be authenticated."]]


def test_an_endpoint_that_is_away_is_tried_again(endpoint: Endpoint, events: dict[str, Any]) -> None:
    endpoint.url = "http://127.0.0.1:9/"
    ((call, reason),) = run(endpoint, events["reset_email"])
    assert (call, reason) == ("retry", "Mailroom did not answer: TypeError")
