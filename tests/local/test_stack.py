"""The local stack as a whole: what users can rely on at http://127.0.0.1:PORT."""

import http.client
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.web.server import IDLE_SECONDS
from tests.running import TOKENS, Running, running

FIELDS = [
    *("id", "message_id", "to", "from", "reply_to", "subject", "text", "html", "headers"),
    *("provider", "tenant", "kind", "locale", "received_at"),
]


def sign_in(to: str, code: str = "482913", **payload: Any) -> dict[str, Any]:
    return {"to": to, "type": "SignIn", "payload": {"code": code, **payload}}


def test_a_mail_goes_from_the_webhook_to_the_inbox(stack: Running) -> None:
    to = stack.address()

    answer = stack.logto(sign_in(to, "048291", locale="de"))

    assert answer.status == 200
    mail = stack.mail_to(to)
    assert mail.message_id == answer.json()["message_id"]
    assert "048291" in mail.text
    assert "048291" in re.sub(r"<[^<>]*>", "", mail.html)
    assert (mail.kind, mail.locale, mail.tenant, mail.provider) == ("sign-in-code", "de", "default", "resend")


def test_a_tenants_mail_comes_from_its_own_sender(stack: Running) -> None:
    to = stack.address()

    assert stack.logto(sign_in(to), "acme").status == 200

    mail = stack.mail_to(to)
    assert (mail.tenant, mail.from_, mail.reply_to) == ("acme", "Acme <login@acme.example>", "help@acme.example")


def test_the_inbox_is_json_newest_first_with_exactly_these_fields(stack: Running) -> None:
    first, second = stack.address(), stack.address()
    for to in (first, second):
        stack.logto(sign_in(to))
        stack.mail_to(to)

    mails = stack.inbox()

    addresses = [mail["to"] for mail in mails]
    assert addresses.index(second) < addresses.index(first)
    assert all(sorted(mail) == sorted(FIELDS) for mail in mails)
    assert all(isinstance(mail[name], str) for mail in mails for name in FIELDS if name != "headers")
    assert mails[0]["headers"]["Content-Language"] == "en"


def test_the_inbox_can_be_emptied(stack: Running) -> None:
    to = stack.address()
    stack.logto(sign_in(to))
    stack.mail_to(to)

    assert stack.request("DELETE", "/inbox.json").status == 204

    assert not [mail for mail in stack.inbox() if mail["to"] == to]


def test_each_route_of_the_template_reaches_its_function(stack: Running) -> None:
    routes = {(route.method, route.path): route.function for route in stack.stack.blueprint.routes()}

    assert routes[("ANY", "/webhooks/logto")] == routes[("ANY", "/webhooks/logto/{tenant}")] == "webhook"
    assert routes[("POST", "/v1/emails")] == "send"
    assert routes[("ANY", "/feedback/{provider}")] == "feedback"
    for (method, path), function in routes.items():
        verb = "POST" if method == "ANY" else method
        answer = stack.request(verb, re.sub(r"\{\w+\}", "acme", path), b"{}", {"content-type": "application/json"})
        assert answer.text != '{"message":"Not Found"}', path
        assert answer.status != 500, f"{path}: {function} failed"


def test_a_changed_setting_is_used_at_once(stack: Running) -> None:
    ssm = stack.aws("ssm")
    to = stack.address()
    stack.logto(sign_in(to))
    assert stack.mail_to(to).from_.startswith("Mailroom <")
    for name in ("senders/default/auth", "api/keys/local"):
        is_sent = partial(mail_is_sent_as_changed, stack, name)
        before = ssm.get_parameter(Name=f"/mailroom/development/{name}", WithDecryption=True)["Parameter"]["Value"]
        after = before.replace("Mailroom <", "Changed <").replace("local-", "changed-")
        ssm.put_parameter(Name=f"/mailroom/development/{name}", Value=after, Overwrite=True)
        try:
            stack.until(is_sent)
        finally:
            ssm.put_parameter(Name=f"/mailroom/development/{name}", Value=before, Overwrite=True)


def mail_is_sent_as_changed(stack: Running, name: str) -> bool:
    """Send a mail; return whether the changed setting was used."""
    to, is_key = stack.address(), name.startswith("api/")
    body = json.dumps({"kind": "sign-in-code", "to": to, "data": {"code": "482913"}})
    key = "changed-api-key" if is_key else "local-api-key"
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    if stack.request("POST", "/v1/emails", body, headers).status != 200:
        return False
    return is_key or stack.mail_to(to).from_.startswith("Changed <")


def test_unknown_paths_are_not_found(stack: Running) -> None:
    for path in ("/webhooks", "/webhooks/logto/", "/v1", "/favicon.ico", "/../etc/passwd"):
        answer = stack.request("GET", path)
        assert (answer.status, answer.json()) == (404, {"message": "Not Found"}), path


def test_lanes_have_queues_of_their_own_with_dead_letter_queues(stack: Running) -> None:
    sqs, blueprint = stack.aws("sqs"), stack.stack.blueprint
    for lane in ("Codes", "Notices"):
        url = blueprint.queue_url(f"{lane}Queue")
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        target = json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"]
        assert target.rpartition(":")[2] == blueprint.queue_url(f"{lane}DeadLetterQueue").rpartition("/")[2]
        timeout = stack.stack.functions["deliver"].spec.timeout
        assert int(queue["VisibilityTimeout"]) >= 6 * timeout


@pytest.mark.thorough
def test_an_unreadable_message_ends_in_the_dead_letter_queue_of_its_lane() -> None:
    target = "arn:aws:sqs:eu-west-1:123456789012:mailroom-development-notices-dead-letters"
    redrive = {"deadLetterTargetArn": target, "maxReceiveCount": 1}  # ten attempts take minutes
    with running(overrides={"NoticesQueue": {"RedrivePolicy": redrive}}) as own:
        sqs, blueprint = own.aws("sqs"), own.stack.blueprint

        sqs.send_message(QueueUrl=blueprint.queue_url("NoticesQueue"), MessageBody="not a parcel")

        dead = blueprint.queue_url("NoticesDeadLetterQueue")
        dead_letters = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20)["Messages"]
        assert [message["Body"] for message in dead_letters] == ["not a parcel"]


@pytest.mark.thorough
def test_it_runs_without_awslambdaric_too() -> None:
    with running(client="python") as own:
        to = own.address()

        assert own.logto(sign_in(to)).status == 200

        assert own.mail_to(to).kind == "sign-in-code"


@pytest.mark.parametrize("path", ["/", "/inbox.json", "/console/events", "/2015-03-31/functions/webhook/invocations"])
def test_local_pages_refuse_foreign_host_names(stack: Running, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1"):
        assert stack.request("GET", path, headers={"host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:3000"])
def test_local_pages_accept_the_names_of_this_machine(stack: Running, host: str) -> None:
    assert stack.request("GET", "/inbox.json", headers={"host": host}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/inbox.json"), ("POST", "/console/samples"), ("POST", "/2015-03-31/functions/send/invocations")],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_cannot_change_anything_through_a_browser(
    stack: Running, method: str, path: str, headers: dict[str, str]
) -> None:
    assert stack.request(method, path, b"{}", {"content-type": "text/plain", **headers}).status == 403


def test_the_webhook_accepts_any_host_name_such_as_a_tunnels(stack: Running) -> None:
    answer = stack.logto(sign_in(stack.address()), host="something.tunnel.example", origin="https://auth.example")

    assert answer.status == 200


def test_an_idle_connection_is_kept_for_a_minute(stack: Running) -> None:
    assert IDLE_SECONDS > 60
    connection = http.client.HTTPConnection(stack.url.removeprefix("http://"))
    for _ in range(2):
        connection.request("GET", "/inbox.json")
        response = connection.getresponse()
        response.read()
        assert response.getheader("connection") is None
    connection.close()


def test_the_log_has_the_promised_line_for_a_sent_email(stack: Running) -> None:
    to = stack.address()
    message_id = stack.logto(sign_in(to)).json()["message_id"]
    stack.mail_to(to)

    line = next_line(stack, "deliver", message_id)

    assert line["message"] == "Email sent successfully"
    assert (line["provider"], line["kind"], line["tenant"]) == ("resend", "sign-in-code", "default")


def next_line(stack: Running, function: str, word: str) -> dict[str, Any]:
    """Wait for a line of a function's log that contains `word`; return its fields."""
    fields: dict[str, Any] = json.loads(stack.line_with(word, function))
    return fields


def test_the_documented_tokens_are_in_the_secrets(root: Path) -> None:
    text = (root / "ops" / "mailroom_ops" / "local" / "secrets.yaml").read_text()

    assert f"webhooks/logto/authorization: {TOKENS['default']}\n" in text
    assert f"webhooks/logto/acme/authorization: {TOKENS['acme']}\n" in text


def test_the_sample_events_are_accepted(stack: Running, root: Path) -> None:
    for file in sorted((root / "events").glob("*.json")):
        name = file.name.partition("-")[0]
        if name == "logto":
            assert stack.logto(file.read_text()).status == 200, file.name
            continue

        outcome = stack.stack.invoke(name, file.read_bytes())

        assert not outcome.failed, file.name
        assert json.loads(outcome.payload).get("batchItemFailures", []) == [], file.name
