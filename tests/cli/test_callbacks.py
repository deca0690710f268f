"""`mailroom callbacks`: set, show, test, rotate and remove the endpoint of a tenant's outcome events."""

import json
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from mailroom.callbacks import endpoint
from mailroom.network.public import connect_anywhere
from tests.callbacks.receivers import OTHER_SECRET, SECRET, Receiver, receiving
from tests.cli.helpers import Stored
from tests.command import Run
from tests.running import Running

URL = "https://api.acme.example/mail-outcomes"
STAGING = ("--env", "staging")


def stored(staging: Stored) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(staging.values()["callbacks/acme"])
    return values


def test_a_secret_is_generated_and_printed_once(run: Run, staging: Stored) -> None:
    done = run("callbacks", "set", "acme", "--url", URL, *STAGING)
    (secret,) = stored(staging)["secrets"]
    assert done.code == 0
    assert done.out.count(secret) == 1
    Webhook(secret)
    assert staging.types()["callbacks/acme"] is True
    again = run("callbacks", "set", "acme", "--address", *STAGING)
    assert stored(staging) == {"url": URL, "secrets": [secret], "include_address": True}
    assert secret not in again.text + run("callbacks", "show", "acme", "--json", *STAGING).text


def test_a_script_reads_the_results_as_json(run: Run, staging: Stored, tmp_path: Path) -> None:
    first = json.loads(run("callbacks", "set", "acme", "--url", URL, "--json", *STAGING).out)
    assert first == {"tenant": "acme", "changed": True, "secrets": 1, "secret": stored(staging)["secrets"][0]}
    again = json.loads(run("callbacks", "set", "acme", "--url", URL, "--json", *STAGING).out)
    assert again == {"tenant": "acme", "changed": False, "secrets": 1}
    to_file = run("callbacks", "rotate", "acme", "--out", str(tmp_path / "secret"), "--json", *STAGING)
    assert json.loads(to_file.out) == {"tenant": "acme", "changed": True, "secrets": 2}
    removed = run("callbacks", "remove", "acme", "--json", *STAGING)
    assert json.loads(removed.out) == {"tenant": "acme", "removed": True}


def test_a_secret_can_go_to_a_file(run: Run, staging: Stored, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    done = run("callbacks", "set", "acme", "--url", URL, "--out", str(file), *STAGING)
    assert [file.read_text().strip()] == stored(staging)["secrets"]
    assert "whsec_" not in done.text
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "There is no endpoint to post to"),
        (("--url", "ftp://api.acme.example"), "url must be an https address"),
        (("--url", "http://127.0.0.1:3000/x"), "must be an https address"),
        (("--url", "https://user:pass@api.acme.example"), "url must be an https address"),
        (("--url", URL, "--event", "message.opened"), "events must be a list of some of message.sent"),
    ],
)
def test_a_callback_that_cannot_work_is_refused(
    run: Run, staging: Stored, arguments: tuple[str, ...], hint: str
) -> None:
    done = run("callbacks", "set", "acme", *arguments, *STAGING)
    assert done.code == 2
    assert hint in done.text
    assert staging.values() == {}


def test_events_can_be_chosen_and_all_of_them_again(run: Run, staging: Stored) -> None:
    run("callbacks", "set", "acme", "--url", URL, "--event", "message.bounced", *STAGING)
    assert stored(staging)["events"] == ["message.bounced"]
    assert "message.bounced" in run("callbacks", "show", *STAGING).text
    run("callbacks", "set", "acme", "--event", "all", *STAGING)
    assert stored(staging)["events"] == []


def test_a_rotation_has_two_secrets_until_it_is_finished(run: Run, staging: Stored) -> None:
    run("callbacks", "set", "acme", "--url", URL, *STAGING)
    (old,) = stored(staging)["secrets"]
    printed = run("callbacks", "rotate", "acme", *STAGING)
    new, also_old = stored(staging)["secrets"]
    assert (also_old, new in printed.out) == (old, True)
    assert run("callbacks", "rotate", "acme", *STAGING).code == 2
    run("callbacks", "rotate", "acme", "--finish", *STAGING)
    assert stored(staging)["secrets"] == [new]
    assert run("callbacks", "rotate", "acme", "--finish", *STAGING).code == 2


def test_a_rotation_can_be_canceled(run: Run, staging: Stored) -> None:
    run("callbacks", "set", "acme", "--url", URL, *STAGING)
    secrets = stored(staging)["secrets"]
    run("callbacks", "rotate", "acme", *STAGING)
    run("callbacks", "rotate", "acme", "--cancel", *STAGING)
    assert stored(staging)["secrets"] == secrets


def test_a_secret_that_was_written_by_hand_as_a_text_is_read(run: Run, staging: Stored) -> None:
    staging.put(callbacks__acme=json.dumps({"url": URL, "secret": f"{SECRET} {OTHER_SECRET}"}))
    assert "2, being rotated" in run("callbacks", "show", "acme", *STAGING).text


def test_a_removed_callback_is_gone(run: Run, staging: Stored) -> None:
    run("callbacks", "set", "acme", "--url", URL, *STAGING)
    assert run("callbacks", "remove", "acme", *STAGING).code == 0
    assert staging.values() == {}
    assert "The tenant acme has no callback" in run("callbacks", "test", "acme", *STAGING).text
    assert "No tenant has a callback." in run("callbacks", "show", *STAGING).text


@pytest.fixture
def to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow an endpoint on loopback, in place of a public one."""
    monkeypatch.setattr(endpoint, "connect_to_public", connect_anywhere)


def test_a_test_event_is_posted_with_signature_and_its_answer_printed(
    run: Run, staging: Stored, to_loopback: None
) -> None:
    with receiving(Receiver(SECRET)) as receiver:
        staging.put(callbacks__acme=json.dumps({"url": receiver.url, "secrets": [SECRET]}))
        done = run("callbacks", "test", "acme", "--event", "message.bounced", *STAGING)
        answer = json.loads(run("callbacks", "test", "acme", "--json", *STAGING).out)
    assert done.code == 0
    assert "The endpoint of acme accepted message.bounced with 204" in done.text
    assert [event["type"] for event in receiver.events] == ["message.bounced", "callback.test"]
    assert (answer["tenant"], answer["type"], answer["status"]) == ("acme", "callback.test", 204)


def test_an_endpoint_that_refuses_the_test_event_is_an_error(run: Run, staging: Stored, to_loopback: None) -> None:
    with receiving(Receiver(SECRET, status=500)) as receiver:
        staging.put(callbacks__acme=json.dumps({"url": receiver.url, "secrets": [SECRET]}))
        done = run("callbacks", "test", "acme", *STAGING)
    assert done.code == 3
    assert "did not accept the event: refused (500)" in done.text


def test_a_test_event_is_not_posted_to_a_private_address(run: Run, staging: Stored) -> None:
    staging.put(callbacks__acme=json.dumps({"url": "https://10.0.0.7/", "secrets": [SECRET]}))
    assert "unreachable (PrivateAddress)" in run("callbacks", "test", "acme", *STAGING).text


def test_the_local_stack_shows_the_outcomes_of_a_tenant(run: Run, local_stack: Running) -> None:
    stack, to = local_stack, local_stack.address()
    assert run("callbacks", "test", "acme").code == 0
    assert "callback.test" in stack.request("GET", "/callbacks").text
    stack.logto({"to": to, "type": "SignIn", "payload": {"code": "424242", "locale": "en"}}, "acme")
    message_id = stack.mail_to(to).message_id

    def page() -> str:
        return stack.request("GET", "/callbacks").text

    stack.until(lambda: message_id in page() and "message.sent" in page())
    assert "verified" in page()
    assert to not in page()
    assert "424242" not in page()


def test_the_page_refuses_an_event_that_is_not_signed(local_stack: Running) -> None:
    answer = local_stack.request("POST", "/callbacks/acme", '{"type": "message.sent"}', {"webhook-id": "forged"})
    assert answer.status == 401
    assert "does not match" in local_stack.request("GET", "/callbacks").text
