"""Logto's own HTTP email connector, from npm, against the running stack."""

import json
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.running import TOKENS, Running

HERE = Path(__file__).parent
KINDS = {
    "SignIn": "sign-in-code",
    "Register": "sign-up-code",
    "ForgotPassword": "password-reset",
    "OrganizationInvitation": "organization-invitation",
    "Generic": "generic-code",
    "UserPermissionValidation": "permission-code",
    "BindNewIdentifier": "bind-identifier-code",
    "MfaVerification": "mfa-code",
    "BindMfa": "bind-mfa-code",
}
WITHIN = 2.0  # seconds from the answer to the inbox

pytestmark = pytest.mark.skipif(
    which("node") is None or not (HERE / "node_modules").is_dir(),
    reason="needs node and its packages: install node, then `npm ci` in tests/logto (`make test` does)",
)


def node(verb: str, **content: Any) -> Any:
    done = subprocess.run(
        ["node", "send.mjs", verb],
        cwd=HERE,
        input=json.dumps(content),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def send(stack: Running, *messages: dict[str, Any], tenant: str = "default", **config: Any) -> list[dict[str, Any]]:
    path = "/webhooks/logto" if tenant == "default" else f"/webhooks/logto/{tenant}"
    known = {"endpoint": stack.url + path, "authorization": TOKENS[tenant], **config}
    outcomes: list[dict[str, Any]] = node(
        "send", config={k: v for k, v in known.items() if v is not None}, messages=messages
    )
    return outcomes


@pytest.fixture(scope="module")
def bodies(root: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((root / "events").glob("logto-*.json"))]
    return {body["type"]: body for body in found}


def test_the_connector_knows_the_types_that_we_know(bodies: dict[str, Any]) -> None:
    assert sorted(node("types")) == sorted(KINDS) == sorted(bodies)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_mail_of_each_type_is_in_the_inbox_soon_in_the_readers_language(
    stack: Running, bodies: dict[str, dict[str, Any]], language: str
) -> None:
    messages = []
    for type_, body in bodies.items():
        payload = {**body["payload"], "locale": language}
        if "code" in payload:
            payload["code"] = "".join(str(ord(char) % 10) for char in (type_ * 6)[:6])
        messages.append({**body, "to": stack.address(), "payload": payload})

    warm = stack.address()
    stack.logto({"to": warm, "type": "SignIn", "payload": {"code": "1"}})
    stack.mail_to(warm)

    outcomes = send(stack, *messages)

    assert [(outcome["sent"], outcome.get("status")) for outcome in outcomes] == [(True, 200)] * len(messages)
    for message in messages:
        mail = stack.mail_to(message["to"], WITHIN)
        content = message["payload"].get("code") or message["payload"]["link"]
        assert (mail.kind, mail.locale) == (KINDS[message["type"]], language)
        assert content in mail.text
        assert content.replace("&", "&amp;") in mail.html.replace('<span style="padding-left:14px">', "")


def test_the_console_test_with_a_tenants_config_reaches_the_inbox_every_time(stack: Running) -> None:
    to = stack.address()
    message = {"to": to, "type": "Generic", "payload": {"code": "000000"}, "ip": "203.0.113.9"}

    outcomes = send(stack, message, message, tenant="acme")

    assert [outcome["sent"] for outcome in outcomes] == [True, True]
    assert {mail.tenant for mail in stack.mails_to(to, 2)} == {"acme"}


def test_a_wrong_authorization_reaches_the_person_as_one_plain_sentence(stack: Running, bodies: dict[str, Any]) -> None:
    for authorization in ("Bearer wrong", None):
        (outcome,) = send(stack, bodies["SignIn"], authorization=authorization)

        assert outcome["sent"] is False
        sentence = outcome["data"] if isinstance(outcome["data"], str) else outcome["data"]["message"]
        assert sentence == "The authorization header is missing or wrong."


def test_a_type_of_a_later_logto_is_sent_as_a_generic_mail(stack: Running) -> None:
    to = stack.address()

    (outcome,) = send(stack, {"to": to, "type": "SomethingNew", "payload": {"code": "123456"}})

    assert outcome["sent"] is True
    assert "123456" in stack.mail_to(to).text
