"""`mailroom send`: one mail or a burst, and its status."""

import json
import re

import boto3
import pytest

from mailroom_ops.sandbox.faults import Fault, Kind
from tests.cli.helpers import Stored
from tests.command import Run, Terminal
from tests.running import Running

STACK = {
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {"SendFunctionName": {"Value": "send:live"}, "LedgerTableName": {"Value": "ledger"}},
}


def test_a_code_is_sent_and_shown_with_the_next_steps(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    done = run("send", "sign-in-code", "--to", to, "--code", "048291", "--locale", "de", "--tenant", "acme")
    assert done.code == 0
    mail = local_stack.mail_to(to)
    assert (mail.locale, mail.tenant) == ("de", "acme")
    assert "048291" in mail.text
    first, inbox, trace = done.out.splitlines()
    assert first == f"sent  sign-in-code for {to} through resend"
    assert inbox.strip() == f"{local_stack.url}/#{mail.id}"
    assert trace.strip() == f"mailroom trace {mail.message_id} --env local"
    assert run(*trace.split()[1:]).code == 0


def test_each_call_is_a_mail_unless_a_key_is_given(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    for _ in range(2):
        assert run("send", "sign-in-code", "--to", to, "--code", "048291").code == 0
    assert len(local_stack.mails_to(to, 2)) == 2
    key = ("--idempotency-key", f"key of {to}")
    answers = [json.loads(run("send", "mfa-code", "--to", to, "--code", "048291", *key, "--json").out) for _ in (1, 2)]
    assert answers[0] == answers[1]
    assert len([mail for mail in local_stack.inbox() if mail["to"] == to]) == 3


def test_a_kind_that_needs_a_code_gets_one(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    assert run("send", "password-reset", "--to", to).code == 0
    assert re.search(r"\b\d{6}\b|\b\d{3}.\d{3}\b", local_stack.mail_to(to).text)
    assert run("send", "password-reset", "--to", to, "--link", "https://app.example.com/reset?t=7").code == 0
    text = local_stack.mails_to(to, 2)[0].text
    assert "https://app.example.com/reset?t=7" in text
    assert not re.search(r"\b\d{6}\b", text)


def test_content_is_given_field_by_field(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    button = '{"text": "Show tickets", "url": "https://app.example.com/orders/7"}'
    fields = ("--data", "title=Welcome", "--data", 'paragraphs=["Doors open."]', "--data", f"button={button}")
    assert run("send", "notification", "--to", to, *fields).code == 0
    mail = local_stack.mail_to(to)
    assert mail.subject == "Welcome"
    assert "Doors open." in mail.text
    assert "https://app.example.com/orders/7" in mail.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--data", "title"), "'title' is not of the form KEY=VALUE."),
        (("--data", "facts={"), "The value of facts is not valid JSON"),
        (("--count", "2", "--idempotency-key", "k"), "--idempotency-key is for one mail."),
    ],
)
def test_malformed_options_are_named(run: Run, options: tuple[str, ...], sentence: str) -> None:
    done = run("send", "notification", "--to", "reader@example.com", *options)
    assert done.code == 2
    assert sentence in done.text


def test_a_refused_request_names_each_field_and_exits_with_2(run: Run, local_stack: Running) -> None:
    done = run("send", "sign-in-cod", "--to", "nobody", "--code", "048291")
    assert done.code == 2
    assert done.out == ""
    assert "kind: There is no kind sign-in-cod. Did you mean sign-in-code?" in done.text
    assert "to: " in done.text


def test_a_mail_that_is_not_sent_exits_with_3_and_the_reason(run: Run, local_stack: Running) -> None:
    local_stack.sandbox.faults.add("resend", Fault(Kind.STATUS, status=422))
    done = run("send", "sign-in-code", "--to", local_stack.address())
    assert done.code == 3
    assert done.out.startswith("failed: ")
    assert re.search(r"resend \S+: \S", done.out)


def test_a_suppressed_recipient_is_no_secret_to_an_operator(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    assert run("send", "sign-in-code", "--to", to).code == 0
    assert run("suppressions", "add", to, "--tenant", "default").code == 0
    done = run("send", "sign-in-code", "--to", to)
    assert done.code == 0
    assert done.out.startswith(f"skipped: suppressed  sign-in-code for {to}\n")


def test_a_queued_mail_is_accepted_and_arrives(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    done = run("send", "sign-in-code", "--to", to, "--code", "048291", "--queued", "--expires-in", "120")
    assert done.code == 0
    assert done.out.startswith(f"accepted  sign-in-code for {to}\n")
    assert "048291" in local_stack.mail_to(to).text


@pytest.mark.thorough
def test_a_burst_is_counted_by_status(run: Run, local_stack: Running) -> None:
    to = local_stack.address()
    done = run("send", "generic-code", "--to", to, "--count", "103", "--queued")
    assert done.code == 0
    assert done.out == f"103 accepted  generic-code for {to}\n"
    assert len(local_stack.mails_to(to, 103)) == 103


def test_a_deployed_function_is_invoked_with_the_operators_credentials(
    run: Run, local_stack: Running, staging: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(STACK))
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", local_stack.url)
    to = local_stack.address()
    done = run("send", "sign-in-code", "--to", to, "--code", "048291", "--queued", "--env", "staging")
    assert done.code == 0
    assert "048291" in local_stack.mail_to(to).text
    assert done.out.splitlines()[1].endswith(" --env staging")


def test_without_a_running_stack_the_next_step_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    done = run("send", "sign-in-code", "--to", "reader@example.com")
    assert done.code == 3
    assert "Start it with `make run`" in done.text


def test_production_asks_for_its_name(terminal: Terminal) -> None:
    child = terminal("send", "sign-in-code", "--to", "reader@example.com", "--env", "production")
    child.expect("Send a mail to reader@example.com from production\\?")
    child.sendline("staging")
    child.expect("Not confirmed")
    child.wait()
    assert child.exitstatus == 4
