"""Operating a running stack: log, trace, stats, dead letters, suppressions, templates."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import boto3
import pytest
from pexpect import EOF, TIMEOUT

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Status
from mailroom_ops.cli import dlq, log
from mailroom_ops.ledger.dead_letters import Verdict
from tests.cli.helpers import Stored
from tests.cloud import LEDGER, REGION
from tests.command import Run, Terminal
from tests.console.client import LedgerWriter
from tests.running import Running

CODE = "KX7391"
LINK = "https://app.example.com/join"


def sign_in(stack: Running) -> dict[str, object]:
    return {"kind": "sign-in-code", "tenant": "acme", "to": stack.address(), "data": {"code": CODE}}


def send_many(stack: Running, messages: list[dict[str, object]]) -> list[str]:
    """Send mails in one request; return their message ids."""
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    answer = stack.request("POST", "/v1/emails/batch", json.dumps({"messages": messages}), headers).json()
    assert {result["status"] for result in answer["results"]} == {"sent"}
    return [result["message_id"] for result in answer["results"]]


@pytest.fixture
def sent(local_stack: Running) -> tuple[str, str]:
    """Send a mail; return its address and its message id."""
    reader = local_stack.address()
    body = json.dumps({"kind": "sign-in-code", "tenant": "acme", "to": reader, "data": {"code": CODE}})
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    answer = local_stack.request("POST", "/v1/emails", body, headers).json()
    assert answer["status"] == "sent"
    return reader, answer["message_id"]


def test_a_mail_is_found_by_message_id_address_and_provider_id(run: Run, sent: tuple[str, str]) -> None:
    reader, id_ = sent
    by_id = run("trace", id_)
    assert by_id.code == 0
    assert "sign-in-code for r•••@example.com" in by_id.out
    assert "through resend; tenant acme" in by_id.text
    found = json.loads(run("trace", reader, "--json").out)
    assert [one["id"] for one in found] == [id_]
    assert found[0]["steps"][1]["by"] == "resend"
    assert json.loads(run("trace", found[0]["provider_id"], "--json").out) == found
    for done in (by_id, run("log", "--json")):
        assert CODE not in done.text
        assert reader not in done.text


def test_a_reason_is_explained_with_the_next_step(run: Run, local_stack: Running) -> None:
    address = local_stack.address()
    run("suppressions", "add", address)
    request = {"kind": "sign-in-code", "to": address, "data": {"code": CODE}}
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    id_ = local_stack.request("POST", "/v1/emails", json.dumps(request), headers).json()["message_id"]
    shown = run("trace", id_)
    assert "The address is on the tenant's suppression list, so nothing was sent." in shown.text
    assert "→ If the recipient can receive mail again, remove the suppression" in shown.text
    assert max(map(len, shown.out.splitlines())) <= 80
    (trace,) = json.loads(run("trace", id_, "--json").out)
    assert trace["meaning"].startswith("The address is on the tenant's suppression list")
    assert "mailroom suppressions remove ADDRESS" in trace["next_step"]
    run("suppressions", "remove", address)


def test_the_log_explains_its_reasons_in_a_terminal(terminal: Terminal, run: Run, local_stack: Running) -> None:
    address = local_stack.address()
    run("suppressions", "add", address, "--tenant", "acme")
    send_many(local_stack, [{**sign_in(local_stack), "to": address}])
    run("suppressions", "remove", address, "--tenant", "acme")
    child = terminal("log", "--limit", "1", MAILROOM_URL=local_stack.url, NO_COLOR="1")
    child.expect("skipped")
    child.expect("reason +.*meaning")
    child.expect("suppressed +The address is on the tenant's suppression list")
    child.expect(EOF)


def test_trace_exits_with_1_for_an_unknown_mail_and_2_for_invalid_input(run: Run, local_stack: Running) -> None:
    assert run("trace", "0" * 32).code == 1
    assert run("trace", "neither this nor that").code == 2


def test_the_log_shows_the_newest_mail_last_and_can_be_filtered(run: Run, sent: tuple[str, str]) -> None:
    lines = run("log", "--tenant", "acme", "--limit", "5").out.splitlines()
    assert lines[0].split() == ["time", "status", "reason,", "via", "kind", "tenant", "to", "id"]
    assert sent[1] in lines[-1]
    assert "sent" in lines[-1]
    assert sent[1] not in run("log", "--status", "failed").out


def test_a_filter_without_mail_names_a_misspelt_tenant(run: Run, sent: tuple[str, str]) -> None:
    refused = run("log", "--tenant", "acmee")
    assert (refused.code, refused.out) == (2, "")
    assert "There is no tenant acmee. Did you mean acme?" in refused.text
    assert run("stats", "--tenant", "acmee").code == 2
    absent = run("log", "--tenant", "acme", "--status", "complained")
    assert absent.code == 0
    assert "There is no mail of acme with status complained in the ledger" in absent.text
    assert run("log", "--tenant", "acme", "--status", "complained", "--json").out == ""


def test_the_log_fits_80_columns_and_trace_accepts_its_ids(
    terminal: Terminal, run: Run, local_stack: Running, sent: tuple[str, str]
) -> None:
    invitation: dict[str, object] = {
        "kind": "organization-invitation",
        "to": local_stack.address(),
        "data": {"link": LINK},
    }
    send_many(local_stack, [*[sign_in(local_stack) for _ in range(9)], invitation])
    child = terminal("log", "--limit", "11", MAILROOM_URL=local_stack.url, NO_COLOR="1")
    child.expect(EOF)
    header, *lines = (child.before or "").replace("\r", "").splitlines()
    assert len(lines) == 11
    assert max(map(len, [header, *lines])) <= 80
    columns = [header.index(title) for title in ("time", "status", "reason, via", "kind", "tenant", "to")]
    for line in lines:
        assert all(line[start - 1 : start] in ("", " ") and line[start] != " " for start in columns)
        assert "…@example.com" in line
    identifiers = [line.split()[-1] for line in lines]
    assert len(set(identifiers)) == 11
    for identifier in identifiers[:2]:
        assert identifier in run("trace", identifier).out


def test_an_ambiguous_id_is_an_error_that_lists_the_mails(run: Run, local_stack: Running) -> None:
    first, second = send_many(local_stack, [sign_in(local_stack), sign_in(local_stack)])
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=True)))
    refused = run("trace", shared)
    assert refused.code == 2
    assert f"mails have an id that begins with {shared}." in refused.text
    assert f"{first} " in refused.text
    assert f"{second} " in refused.text
    assert "sign-in-code for r•••@example.com" in refused.text
    assert first in run("trace", first[: len(shared) + 1]).out
    assert run("trace", "ffffffff").code == 1


def test_the_log_follows_until_it_is_interrupted(terminal: Terminal, local_stack: Running) -> None:
    child = terminal("log", "--follow", "--limit", "0", MAILROOM_URL=local_stack.url)
    child.setwinsize(24, 80)
    local_stack.until(child.isalive)
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    for _ in range(20):  # mail from before its first query is not followed
        request = {"kind": "sign-in-code", "to": local_stack.address(), "data": {"code": CODE}}
        id_ = local_stack.request("POST", "/v1/emails", json.dumps(request), headers).json()["message_id"]
        if child.expect([id_[:11], "Traceback", TIMEOUT], timeout=4) == 0:
            break
    else:
        pytest.fail("nothing was followed")
    child.sendintr()
    child.expect(EOF)
    child.close()
    assert child.exitstatus == 0


def test_stats_counts_mail_by_provider(run: Run, sent: tuple[str, str], local_stack: Running) -> None:
    local_stack.until(lambda: "resend" in run("stats", "--tenant", "acme").out)
    assert "provider" in run("stats").out
    local_stack.until(lambda: bool(re.search(r"resend +other +\d+ +\d+", run("stats", "--tenant", "acme").out)))
    report = json.loads(run("stats", "--tenant", "acme", "--json").out)
    sent_mails = sum(hour["counts"].get("sent/resend", 0) for hour in report["hours"])
    assert report["total"]["sent"] == report["providers"]["resend"]["sent"] == sent_mails >= 1


def test_limits_are_shown_set_and_reset(run: Run, local_stack: Running) -> None:
    address = local_stack.address()
    assert json.loads(run("limits", "show", "--tenant", "globex", "--json").out)["per_kind"] == 0
    assert run("limits", "set", "--tenant", "globex", "--per-kind", "2").code == 0
    shown = run("limits", "show", "--tenant", "globex")
    assert "per_kind" in shown.out
    assert "limits/globex" in shown.out
    assert "already" in run("limits", "set", "--tenant", "globex", "--per-kind", "2").text
    assert run("limits", "set", "--tenant", "globex").code == 2
    assert run("limits", "set", "--per-kind", "101").code == 2
    assert "had 0 in the last ten minutes" in run("limits", "show", address).text
    assert "0 codes no longer count" in run("limits", "reset", address).text
    assert run("limits", "reset", "nobody").code == 2


def test_an_address_is_suppressed_exported_removed_and_imported(
    run: Run, sent: tuple[str, str], local_stack: Running, tmp_path: Path
) -> None:
    address = local_stack.address()
    assert run("suppressions", "add", address, "--tenant", "acme", "--days", "3", "--lane", "notices").code == 0
    found = {one["address"]: one for one in json.loads(run("suppressions", "list", "--json").out)}
    assert found[address]["cause"] == "manual"
    assert found[address]["codes_until"] is None
    assert address in run("suppressions", "list", "--tenant", "acme").out
    path = tmp_path / "list.csv"
    assert run("suppressions", "export", str(path)).code == 0
    assert address in path.read_text()
    assert "is no longer suppressed for acme" in run("suppressions", "remove", address, "--tenant", "acme").text
    assert address not in run("suppressions", "list", "--json").out
    assert run("suppressions", "import", str(path)).code == 4
    assert run("suppressions", "import", str(path), "--yes").code == 0
    assert address in run("suppressions", "list", "--json").out
    assert run("suppressions", "remove", address, "--tenant", "acme").code == 0
    assert run("suppressions", "add", "nobody").code == 2


def test_a_faulty_suppression_list_is_rejected_with_its_line(run: Run, sent: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\na@example.com\nnobody\n")
    refused = run("suppressions", "import", str(path))
    assert refused.code == 2
    assert "line 3" in refused.text
    assert "a@example.com" not in run("suppressions", "list").out
    path.write_bytes("email\nb\xfcro@example.com\n".encode("latin-1"))
    assert run("suppressions", "import", str(path)).code == 2


@pytest.fixture
def fresh(staging: Stored) -> Stored:
    """A deployed environment that has not sent a mail yet."""
    name = "mailroom-staging-ledger"
    body = {
        "Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {**LEDGER, "TableName": name}}},
        "Outputs": {"LedgerTableName": {"Value": name}},
    }
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    return staging


def test_the_log_shows_the_last_attempt_of_a_waiting_mail(run: Run, fresh: Stored, cloud: str) -> None:
    LedgerWriter(Ledger(Aws(REGION, cloud), "mailroom-staging-ledger", 16)).waiting()
    assert "accepted   http_503 resend" in run("log", "--env", "staging").out


@pytest.fixture
def long_names(run: Run, fresh: Stored, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tenant with a long name, sender and provider chain, which suppresses a long address; return the address."""
    tenant, domain = "organization-with-a-rather-long-name", "mail.department.organization.example"
    address = f"somebody.with.a.long.local.part@{domain}"
    sender = f"An Organization With A Rather Long Name <no-reply@{domain}>"
    monkeypatch.setenv("MAILROOM_ENV", "staging")
    added = run("tenant", "add", tenant, "--from", sender, "--providers", "resend,ses,smtp,sendgrid", "--no-domain")
    assert added.code == 0, added.text
    fresh.put(**{f"webhooks__{source}__{tenant}__secret": "v1,whsec_x" for source in ("auth0", "clerk", "supabase")})
    assert run("suppressions", "add", address, "--tenant", tenant).code == 0
    return address


@pytest.mark.parametrize(
    "command",
    [
        *("tenant list", "secrets list", "secrets list senders", "secrets names", "suppressions list"),
        *("templates list", "callbacks show", "limits show", "stats", "promote staging production --dry-run"),
    ],
)
def test_a_list_fits_80_columns(run: Run, long_names: str, command: str) -> None:
    done = run(*command.split())
    assert done.code == 0, done.text
    assert [line for line in done.out.splitlines() if len(line) > 80] == []


def test_a_list_in_a_terminal_wraps_its_columns_between_words(terminal: Terminal, long_names: str) -> None:
    child = terminal("tenant", "list", MAILROOM_ENV="staging")
    child.expect(EOF)
    assert child.before
    lines = re.sub("\x1b[^m]*m", "", child.before).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  organization")] == [
        "organization-with-a-rather-long-name"
    ]


def test_stats_has_totals(run: Run, fresh: Stored) -> None:
    assert "No mail in this period." in run("stats", "--env", "staging").out
    counts = {"sent/resend": 90, "sent/ses": 10, "delivered/resend": 80, "failed/holding_back": 3, "failed/bad_key": 2}
    row = {name: {"N": str(number)} for name, number in counts.items()}
    key = f"tally#{EVERYONE}#{hour_of(time.time())}#0"
    boto3.client("dynamodb").put_item(TableName="mailroom-staging-ledger", Item={"pk": {"S": key}, **row})
    lines = [line.split() for line in run("stats", "--env", "staging").out.splitlines()]
    assert ["total", "100", "80", "(80.0%)", "0", "0", "0"] in lines
    assert lines[-3:] == [["5", "failed"], ["3", "holding_back"], ["2", "bad_key"]]
    report = json.loads(run("stats", "--env", "staging", "--json").out)
    assert report["total"]["sent"] == 100
    assert report["total"]["failed"] == 5
    assert report["providers"]["ses"]["sent"] == 10
    assert report["reasons"]["failed"] == {"holding_back": 3, "bad_key": 2}


def test_addresses_can_be_suppressed_before_the_first_mail(run: Run, fresh: Stored, tmp_path: Path) -> None:
    assert "was not suppressed" in run("suppressions", "remove", "a@example.com", "--env", "staging").text
    assert fresh.values() == {}
    assert run("suppressions", "add", "a@example.com", "--env", "staging").code == 0
    key = fresh.values()["ledger/address_key"]
    assert len(key) == 64
    assert fresh.types()["ledger/address_key"] is True
    path = tmp_path / "list.csv"
    path.write_text("email\na@example.com\nb@example.com\n")
    assert run("suppressions", "import", str(path), "--env", "staging", "--yes").code == 0
    assert fresh.values()["ledger/address_key"] == key
    listed = json.loads(run("suppressions", "list", "--env", "staging", "--json").out)
    assert {entry["address"] for entry in listed} == {"a@example.com", "b@example.com"}


def test_an_imported_cause_without_dates_has_the_period_of_its_policy(run: Run, fresh: Stored, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,cause\na@example.com,complaint\nb@example.com,bounce\nc@example.com,\n")
    assert run("suppressions", "import", str(path), "--env", "staging", "--yes").code == 0
    listed = json.loads(run("suppressions", "list", "--env", "staging", "--json").out)
    complaint, bounce, manual = sorted(listed, key=lambda entry: entry["address"])
    assert complaint["codes_until"] is None, "codes are still sent after a complaint"
    assert bounce["codes_until"] < bounce["notices_until"] < manual["codes_until"]


def test_an_import_shows_its_plan_first(run: Run, fresh: Stored, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    command = ("suppressions", "import", str(path), "--env", "staging")
    path.write_text("email\na@example.com\nb@example.com\nB@example.com\n")
    planned = run(*command, "--dry-run")
    assert planned.code == 0
    assert "An import of 3 lines into staging:" in planned.out
    assert "2 new" in planned.out
    assert "this is a dry run" in planned.out
    assert fresh.values() == {}
    assert json.loads(run(*command, "--dry-run", "--json").out) == {
        "new": 2,
        "extended": 0,
        "unchanged": 0,
        "ended": 0,
        "dry_run": True,
    }
    assert "2 addresses are suppressed." in run(*command, "--yes").out
    path.write_text(
        "email,notices_until\na@example.com,2099-01-01\nb@example.com,2027-01-01\nc@example.com,2020-01-01\n"
    )
    again = run(*command, "--yes")
    for effect in ("1 suppressed for longer than now", "1 unchanged", "1 left out", "1 address is suppressed."):
        assert effect in again.out
    assert "Nothing to change." in run(*command).out


def test_an_import_in_a_terminal_has_a_progress_bar(terminal: Terminal, fresh: Stored, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"r{number}@example.com\n" for number in range(60)))
    child = terminal("suppressions", "import", str(path), "--env", "staging")
    child.expect("Suppress 60 addresses in staging")
    child.sendline("y")
    child.expect("importing .*100%")
    child.expect("60 addresses are suppressed.")
    child.expect(EOF)


@pytest.fixture
def fresh_letter(run: Run, local_stack: Running) -> Iterator[str]:
    """Create a dead letter whose mail has failed with a reason; return the id of the letter."""
    now = time.time()
    data = {"link": "https://app.example.com/join"}
    message = Message(
        new_id(), "acme", "organization-invitation", local_stack.address(), data, now, now + 3600, "direct"
    )
    local_stack.aws("dynamodb").put_item(
        TableName="mailroom-development-ledger",
        Item={
            "pk": {"S": f"message#{message.id}"},
            "status": {"S": "failed"},
            "reason": {"S": "bad_key"},
            "timeline": {"L": []},
        },
    )
    sqs = local_stack.aws("sqs")
    queue = sqs.get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=Parcel.of(message).to_json())
    (letter,) = json.loads(run("dlq", "list", "--lane", "notices", "--json").out)
    yield letter["id"]
    run("dlq", "drop", letter["id"], "--yes")


@pytest.fixture
def dead(run: Run, local_stack: Running) -> Iterator[list[str]]:
    """Create two dead letters that can be sent, one that has expired, one unreadable; return their recipients."""
    sqs = local_stack.aws("sqs")
    queue = sqs.get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    now, readers = time.time(), [local_stack.address() for _ in range(3)]
    for reader, lifetime in zip(readers, (3600, 3600, -60), strict=True):
        data = {"link": "https://app.example.com/join", "inviter": {"name": "For your eyes only"}}
        message = Message(
            new_id(), "acme", "organization-invitation", reader, data, now - 100, now + lifetime, "direct"
        )
        sqs.send_message(QueueUrl=queue, MessageBody=Parcel.of(message).to_json())
    sqs.send_message(QueueUrl=queue, MessageBody="{")
    yield readers
    run("dlq", "drop", "--lane", "notices", "--yes")


def test_dead_letters_are_listed_shown_and_replayed(run: Run, dead: list[str], local_stack: Running) -> None:
    listed = run("dlq", "list")
    assert "3 ready" in listed.text
    assert "1 unreadable" in listed.text
    assert "r•••@example.com never sent, not in the ledger" in listed.text
    letters = json.loads(run("dlq", "list", "--lane", "notices", "--json").out)
    first = next(letter["id"] for letter in letters if letter["verdict"] == "ready")
    assert first[:8] in listed.out
    assert first not in listed.out
    shown = run("dlq", "show", first[:8])
    assert "acme organization-invitation r•••@example.com" in shown.text
    for done in (listed, shown, run("dlq", "show", first, "--json")):
        assert "eyes only" not in done.text
        assert not any(reader in done.text for reader in dead)
    assert run("dlq", "replay").code == 4
    assert "Done: 1 letter (1 ready)." in run("dlq", "replay", first, "--yes").text
    assert run("dlq", "replay", "--yes").code == 0
    for reader in dead[:2]:
        assert local_stack.mail_to(reader).subject
    assert run("dlq", "drop", "--lane", "notices", "--yes").code == 0
    assert "There are no dead letters." in run("dlq", "list").out


def test_a_dead_letter_is_shown_with_the_meaning_of_its_reason(run: Run, fresh_letter: str) -> None:
    shown = run("dlq", "show", fresh_letter)
    assert "failed (bad_key)" in shown.text
    assert "The provider refused the key, or the login." in shown.text
    assert "→ Set the key again" in shown.text


def test_dead_letters_are_processed_with_json_output(run: Run, dead: list[str]) -> None:
    report = json.loads(run("dlq", "replay", "--lane", "notices", "--yes", "--json").out)
    assert sorted(letter["verdict"] for letter in report["letters"]) == ["ready", "ready", "ready", "unreadable"]
    report = json.loads(run("dlq", "drop", "--lane", "notices", "--yes", "--json").out)
    assert [letter["verdict"] for letter in report["letters"]] == ["unreadable"]
    assert json.loads(run("dlq", "replay", "--yes", "--json").out) == {"letters": []}


def test_an_id_that_fits_several_dead_letters_is_an_error(run: Run, dead: list[str], local_stack: Running) -> None:
    sqs = local_stack.aws("sqs")
    queue = sqs.get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    for _ in range(16 - 3):  # with those of the fixture, more than there are first digits
        sqs.send_message(QueueUrl=queue, MessageBody="{")
    letters = json.loads(run("dlq", "list", "--lane", "notices", "--json").out)
    digit, _ = Counter(letter["id"][0] for letter in letters).most_common(1)[0]
    refused = run("dlq", "drop", digit, "--yes")
    assert refused.code == 2
    assert f"dead letters have an id that begins with '{digit}'." in refused.text
    assert run("dlq", "drop", "", "--yes").code == 2
    assert len(json.loads(run("dlq", "list", "--lane", "notices", "--json").out)) == 17


def test_an_unknown_dead_letter_is_an_error(run: Run, dead: list[str]) -> None:
    refused = run("dlq", "replay", "nowhere", "--yes")
    assert refused.code == 2
    assert "There is no dead letter nowhere." in refused.text
    assert run("dlq", "replay", "--extend", "60", "--lane", "codes", "--yes").code == 0  # there is no letter to extend


def test_options_list_every_status_lane_and_verdict() -> None:
    assert log.STATUSES == tuple(Status)
    assert dlq.LANES == tuple(Lane)
    assert set(dlq.HINTS) <= set(Verdict)


def test_a_missing_table_is_an_error(run: Run, cloud: str, staging: Stored) -> None:
    body = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"LedgerTableName": {"Value": "mailroom-staging-ledger"}},
    }
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    refused = run("trace", "0" * 32, "--env", "staging")
    assert refused.code == 3
    assert "AWS refused GetItem" in refused.text


@pytest.mark.thorough
def test_preview_writes_the_gallery(run: Run, tmp_path: Path) -> None:
    done = run("preview", "--out", str(tmp_path / "gallery"))
    assert done.code == 0
    assert (tmp_path / "gallery" / "index.html").is_file()
    assert run("preview").code == 2


def test_preview_renders_a_tenant_of_the_environment(run: Run, staging: Stored, tmp_path: Path) -> None:
    staging.put(brands__acme='{"name": "Globex", "color": "#ff00aa"}')
    done = run("preview", "--out", str(tmp_path), "--tenant", "acme", "--env", "staging")
    assert done.code == 0
    assert "Globex" in (tmp_path / "sign-in-code.en.light.html").read_text()
    unknown = run("preview", "--out", str(tmp_path), "--tenant", "nobody", "--env", "staging")
    assert (unknown.code, "There is no tenant nobody in staging." in unknown.text) == (2, True)


def test_screenshots_without_chromium_are_an_error(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    done = run("preview", "--screenshots", str(tmp_path))
    assert (done.code, "Chromium was not found" in done.text, "CHROMIUM=" in done.text) == (2, True, True)


def test_logto_templates_are_imported_with_warnings(run: Run, tmp_path: Path) -> None:
    path, folder = tmp_path / "logto.json", tmp_path / "acme"
    template = {"usageType": "SignIn", "subject": "Hi", "content": "<p>{{code}} {{nothing}}</p>"}
    path.write_text(json.dumps({"templates": [template]}))
    command = ("templates", "import", str(path), "--tenant", "acme", "--to", str(folder))
    done = run(*command)
    assert done.code == 0
    assert "{{nothing}} is never sent" in done.text
    assert (folder / "emails" / "sign-in-code.html").is_file()
    (folder / "emails" / "sign-in-code.html").write_text("changed by hand")
    assert run(*command).code == 2
    assert run(*command, "--replace").code == 0
    path.write_text("{")
    broken = run(*command)
    assert broken.code == 2
    assert "is not JSON (line 1" in broken.text
