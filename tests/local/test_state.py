"""The state of a local stack: what a restart keeps, also after SIGKILL, and what it forgets."""

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom_ops.local.provision import read_settings
from mailroom_ops.local.stack import SECRETS
from tests.cli.helpers import Stored
from tests.command import Run
from tests.local.test_command import run, started
from tests.running import Running, running

pytestmark = pytest.mark.thorough

ROOT = "/mailroom/development/"
FINAL_STATUS = re.compile(r'"status": \{"S": "(sent|delivered)"\}')
KEY = {"authorization": "Bearer local-api-key", "content-type": "application/json"}


def send(stack: Running, to: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"kind": "sign-in-code", "to": to, "data": {"code": "048291"}, **fields})
    answer: dict[str, Any] = stack.request("POST", "/v1/emails", body, KEY).json()
    return answer


def put(stack: Running, name: str, value: str) -> None:
    stack.aws("ssm").put_parameter(Name=ROOT + name, Value=value, Type="SecureString", Overwrite=True)


def dead_letters(stack: Running) -> str:
    return stack.stack.blueprint.queue_url("CodesDeadLetterQueue")


def test_a_restart_keeps_mails_settings_records_and_queued_messages(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(state=state) as first:
        to = first.address()
        sent = send(first, to)
        put(first, "senders/globex/auth", '{"from": "Globex <login@globex.example>"}')
        put(first, "senders/default/auth", '{"from": "Changed <hello@mailroom.example>"}')
        first.aws("ssm").delete_parameter(Name=f"{ROOT}brands/acme")
        first.aws("sqs").send_message(QueueUrl=dead_letters(first), MessageBody="{}", MessageGroupId="globex")
        first.aws("sesv2").create_email_identity(EmailIdentity="globex.example")
        before, inbox, endpoint = read_settings(first.stack.aws), first.inbox(), first.stack.aws.endpoint

    with running(state=state) as second:
        assert second.stack.aws.endpoint == endpoint
        assert second.inbox() == inbox
        password = {"providers/smtp/password": second.stack.smtp.login[1]}  # of the sandbox, a new one
        callback = {"callbacks/acme": before["callbacks/acme"].replace(first.url, second.url)}  # a port of its own
        assert read_settings(second.stack.aws) == before | password | callback
        assert second.request("GET", f"/v1/emails/{sent['message_id']}", headers=KEY).json()["status"] == "sent"
        (letter,) = second.aws("sqs").receive_message(
            QueueUrl=dead_letters(second), MessageSystemAttributeNames=["All"]
        )["Messages"]
        assert (letter["Body"], letter["Attributes"]["MessageGroupId"]) == ("{}", "globex")
        identities = second.aws("sesv2").list_email_identities()["EmailIdentities"]
        assert "globex.example" in [identity["IdentityName"] for identity in identities]
        assert send(second, to, tenant="globex")["status"] == "sent"
        assert second.mails_to(to, 2)[0].from_ == "Globex <login@globex.example>"
        assert second.request("DELETE", "/inbox.json").status == 204

    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir())
    with running(state=state) as third:
        assert third.inbox() == []


def test_a_changed_line_of_the_secrets_file_wins_over_the_state(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.yaml"
    text = SECRETS.read_text("utf-8")
    secrets.write_text(text, "utf-8")
    options: Mapping[str, Any] = {"state": tmp_path / "state", "secrets": secrets}
    with running(**options) as first:
        put(first, "brands/acme", '{"name": "By the command"}')
        put(first, "webhooks/kratos/secret", "by-the-command")
    lines = text.replace("local-kratos-secret", "of-the-file").replace(
        "webhooks/clerk/secret:", "webhooks/none/secret:"
    )
    secrets.write_text(lines, "utf-8")
    with running(**options) as second:
        settings = read_settings(second.stack.aws)
        assert settings["brands/acme"] == '{"name": "By the command"}'
        assert settings["webhooks/kratos/secret"] == "of-the-file"
        assert "webhooks/clerk/secret" not in settings


def test_a_broken_state_is_reported_and_a_start_goes_on(tmp_path: Path) -> None:
    (tmp_path / "aws.json").write_text('{"parameters": {"/a": {}}, "tables"')
    (tmp_path / "inbox.jsonl").write_text('{"from": "a@example.com"\n')
    with running(state=tmp_path) as stack:
        assert any("aws.json cannot be read" in line for line in stack.logs("local"))
        assert send(stack, stack.address())["status"] == "sent"


def is_recorded(file: Path, message_id: str) -> bool:
    """Return whether a saved ledger has the message with its final status."""
    tables = json.loads(file.read_text("utf-8"))["tables"].values()
    rows = [json.dumps(item) for items in tables for item in items]
    return any(f"message#{message_id}" in row and FINAL_STATUS.search(row) for row in rows)


def test_a_killed_stack_keeps_what_it_had_and_fresh_forgets_it(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with started(root, "--state", str(state)) as command:
        body = json.dumps({"kind": "sign-in-code", "to": "ada@example.com", "data": {"code": "048291"}}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{command.url}/v1/emails", body, KEY)) as answer:
            message_id = json.load(answer)["message_id"]
        Running.until(lambda: is_recorded(state / "aws.json", message_id))
        command.process.send_signal(signal.SIGKILL)
        command.end()

    with started(root, "--state", str(state)) as command:
        assert [mail["message_id"] for mail in json.load(urllib.request.urlopen(f"{command.url}/inbox.json"))] == [
            message_id
        ]
        request = urllib.request.Request(f"{command.url}/v1/emails/{message_id}", headers=KEY)
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["status"] in ("sent", "delivered")

    with started(root, "--state", str(state), "--fresh") as command:
        assert json.load(urllib.request.urlopen(f"{command.url}/inbox.json")) == []


def test_the_variables_of_a_running_stack_are_those_of_a_shell(root: Path, stack: Running) -> None:
    port = stack.url.rpartition(":")[2]
    done = run(root, "--env", PORT=port)
    assert done.returncode == 0
    script = f'{done.stdout}\necho "$MAILROOM_URL $MAILROOM_API_KEY $AWS_ENDPOINT_URL $AWS_REGION"'
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/bin"})
    assert printed.stdout == f"{stack.url} local-api-key {stack.aws_endpoint} eu-west-1\n"


def test_without_a_running_stack_there_are_no_variables(root: Path) -> None:
    done = run(root, "--env", PORT="9")
    assert done.returncode == 1
    assert "does not answer at http://127.0.0.1:9. Start it with `make run`" in done.stderr


def test_a_tenant_that_was_tried_locally_is_promoted(run: Run, stack: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", stack.url)
    put(stack, "senders/globex/auth", '{"from": "Globex <login@globex.example>", "providers": ["smtp"]}')
    try:
        done = run("promote", "local", "development", "--yes")
        assert done.code == 0
        values = Stored("development").values()
        assert json.loads(values["senders/globex/auth"])["providers"] == ["smtp"]
        assert not [name for name in values if name.startswith("providers/")]
        assert "sandbox" not in done.text
        assert "127.0.0.1" not in done.text
    finally:
        stack.aws("ssm").delete_parameter(Name=f"{ROOT}senders/globex/auth")
