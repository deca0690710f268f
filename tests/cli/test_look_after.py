"""Looking after mail, on the whole running stack: follow it, find it, count it, send it again, keep it back."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pexpect import EOF, TIMEOUT

from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Status
from mailroom_ops.cli import dlq, log
from mailroom_ops.ledger.dead_letters import Verdict
from tests.cli.conftest import Run, Stored
from tests.cli.test_command import Terminal, terminal
from tests.running import Running

__all__ = ["terminal"]

CODE = "KX7391"


@pytest.fixture
def sent(at_home: Running) -> tuple[str, str]:
    """A mail that has gone: to whom, and its id."""
    reader = at_home.address()
    body = json.dumps({"kind": "sign-in-code", "tenant": "acme", "to": reader, "data": {"code": CODE}})
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    said = at_home.request("POST", "/v1/emails", body, headers).json()
    assert said["status"] == "sent"
    return reader, said["message_id"]


def test_a_mail_is_found_by_its_id_its_reader_and_its_providers_id(run: Run, sent: tuple[str, str]) -> None:
    reader, id_ = sent
    by_id = run("trace", id_)
    assert by_id.code == 0
    assert "sign-in-code for r•••@example.com" in by_id.out
    assert "through resend; tenant acme" in by_id.said
    found = json.loads(run("trace", reader, "--json").out)
    assert [one["id"] for one in found] == [id_]
    assert found[0]["steps"][0]["by"] == "resend"
    assert json.loads(run("trace", found[0]["provider_id"], "--json").out) == found
    for done in (by_id, run("log", "--json")):
        assert CODE not in done.said
        assert reader not in done.said


def test_what_nobody_knows_exits_with_1_and_what_makes_no_sense_with_2(run: Run, at_home: Running) -> None:
    assert run("trace", "0" * 32).code == 1
    assert run("trace", "neither this nor that").code == 2


def test_the_log_shows_the_newest_mail_last_and_is_filtered(run: Run, sent: tuple[str, str]) -> None:
    lines = run("log", "--tenant", "acme", "--limit", "5").out.splitlines()
    assert sent[1] in lines[-1]
    assert "sent" in lines[-1]
    assert run("log", "--tenant", "nobody").out == ""
    assert sent[1] not in run("log", "--status", "failed").out


def test_the_log_follows_until_it_is_interrupted(terminal: Terminal, at_home: Running) -> None:
    child = terminal("log", "--follow", "--limit", "0", MAILROOM_URL=at_home.url)
    child.setwinsize(24, 80)
    at_home.until(child.isalive)
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    for _ in range(20):  # what comes before it has begun to look is not followed
        request = {"kind": "sign-in-code", "to": at_home.address(), "data": {"code": CODE}}
        id_ = at_home.request("POST", "/v1/emails", json.dumps(request), headers).json()["message_id"]
        if child.expect([id_, "Traceback", TIMEOUT], timeout=4) == 0:
            break
    else:
        pytest.fail("nothing was followed")
    child.sendintr()
    child.expect(EOF)
    child.close()
    assert child.exitstatus == 0


def test_what_was_sent_is_counted(run: Run, sent: tuple[str, str], at_home: Running) -> None:
    at_home.until(lambda: "resend" in run("stats", "--tenant", "acme").out)
    assert "through" in run("stats").out
    hours = json.loads(run("stats", "--tenant", "acme", "--json").out)
    assert sum(hour["counts"].get("sent/resend", 0) for hour in hours) >= 1
    assert "Nothing was sent" in run("stats", "--tenant", "nobody").out


def test_an_address_is_kept_back_and_let_go(run: Run, sent: tuple[str, str], at_home: Running, tmp_path: Path) -> None:
    address = at_home.address()
    assert run("suppressions", "add", address, "--tenant", "acme", "--days", "3", "--lane", "notices").code == 0
    found = {one["address"]: one for one in json.loads(run("suppressions", "list", "--json").out)}
    assert found[address]["cause"] == "manual"
    assert found[address]["codes_until"] is None
    assert address in run("suppressions", "list", "--tenant", "acme").out
    path = tmp_path / "list.csv"
    assert run("suppressions", "export", str(path)).code == 0
    assert address in path.read_text()
    assert "gets mail from acme again" in run("suppressions", "remove", address, "--tenant", "acme").said
    assert address not in run("suppressions", "list", "--json").out
    assert run("suppressions", "import", str(path)).code == 0
    assert address in run("suppressions", "list", "--json").out
    assert run("suppressions", "remove", address, "--tenant", "acme").code == 0
    assert run("suppressions", "add", "nobody").code == 2


def test_a_faulty_list_is_named_by_line_and_changes_nothing(run: Run, sent: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\na@example.com\nnobody\n")
    refused = run("suppressions", "import", str(path))
    assert refused.code == 2
    assert "line 3" in refused.said
    assert "a@example.com" not in run("suppressions", "list").out
    path.write_bytes("email\nb\xfcro@example.com\n".encode("latin-1"))
    assert run("suppressions", "import", str(path)).code == 2


@pytest.fixture
def dead(run: Run, at_home: Running) -> Iterator[list[str]]:
    """The readers of two letters that can be sent, and of one that has expired; and one letter nobody can read."""
    sqs = at_home.aws("sqs")
    queue = sqs.get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    now, readers = time.time(), [at_home.address() for _ in range(3)]
    for reader, lifetime in zip(readers, (3600, 3600, -60), strict=True):
        data = {"link": "https://app.example.com/join", "inviter": {"name": "For your eyes only"}}
        message = Message(
            new_id(), "acme", "organization-invitation", reader, data, now - 100, now + lifetime, "direct"
        )
        sqs.send_message(QueueUrl=queue, MessageBody=Parcel.of(message).to_json())
    sqs.send_message(QueueUrl=queue, MessageBody="{")
    yield readers
    run("dlq", "drop", "--lane", "notices", "--yes")


def test_dead_letters_are_listed_shown_and_sent_again(run: Run, dead: list[str], at_home: Running) -> None:
    listed = run("dlq", "list")
    assert "3 ready" in listed.said
    assert "1 unreadable" in listed.said
    assert "r•••@example.com never sent, not in the ledger" in listed.said
    letters = json.loads(run("dlq", "list", "--lane", "notices", "--json").out)
    first = next(letter["id"] for letter in letters if letter["verdict"] == "ready")
    shown = run("dlq", "show", first)
    assert "acme organization-invitation r•••@example.com" in shown.said
    for done in (listed, shown, run("dlq", "show", first, "--json")):
        assert "eyes only" not in done.said
        assert not any(reader in done.said for reader in dead)
    assert run("dlq", "replay").code == 4
    assert "Done: 1 letter (1 ready)." in run("dlq", "replay", first, "--yes").said
    assert run("dlq", "replay", "--yes").code == 0
    for reader in dead[:2]:
        assert at_home.mail_to(reader).subject
    assert run("dlq", "drop", "--lane", "notices", "--yes").code == 0
    assert "There are no dead letters." in run("dlq", "list").out


def test_a_letter_that_is_not_there_is_a_sentence(run: Run, dead: list[str]) -> None:
    refused = run("dlq", "replay", "nowhere", "--yes")
    assert refused.code == 2
    assert "There is no letter nowhere." in refused.said
    assert run("dlq", "replay", "--extend", "60", "--lane", "codes", "--yes").code == 0  # there is none to be extended


def test_what_the_commands_know_is_all_there_is() -> None:
    assert log.STATUSES == tuple(Status)
    assert dlq.LANES == tuple(Lane)
    assert set(dlq.HINTS) <= set(Verdict)


def test_a_table_that_is_not_there_is_a_sentence(run: Run, cloud: str, staging: Stored) -> None:
    import boto3

    body = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"LedgerTableName": {"Value": "mailroom-staging-ledger"}},
    }
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    refused = run("trace", "0" * 32, "--env", "staging")
    assert refused.code == 3
    assert "AWS refused GetItem" in refused.said


def test_the_gallery_is_written(run: Run, tmp_path: Path) -> None:
    done = run("preview", "--out", str(tmp_path / "gallery"))
    assert done.code == 0
    assert (tmp_path / "gallery" / "index.html").is_file()
    assert run("preview").code == 2


def test_pictures_without_a_browser_are_a_sentence(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    done = run("preview", "--screenshots", str(tmp_path))
    assert (done.code, "There is no Chromium" in done.said, "CHROMIUM=" in done.said) == (2, True, True)


def test_logtos_templates_are_taken_over_with_what_is_wrong_with_them(run: Run, tmp_path: Path) -> None:
    path, folder = tmp_path / "logto.json", tmp_path / "acme"
    template = {"usageType": "SignIn", "subject": "Hi", "content": "<p>{{code}} {{nothing}}</p>"}
    path.write_text(json.dumps({"templates": [template]}))
    command = ("templates", "import", str(path), "--tenant", "acme", "--to", str(folder))
    done = run(*command)
    assert done.code == 0
    assert "{{nothing}} is never sent" in done.said
    assert (folder / "emails" / "sign-in-code.html").is_file()
    (folder / "emails" / "sign-in-code.html").write_text("changed by hand")
    assert run(*command).code == 2
    assert run(*command, "--replace").code == 0
    path.write_text("{")
    broken = run(*command)
    assert broken.code == 2
    assert "is not JSON (line 1" in broken.said
