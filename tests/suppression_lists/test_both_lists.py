"""`mailroom suppressions check`, `remove --at-provider` and `pull`: our list, and the one of each provider."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mailroom.feedback.suppression import Cause
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import load
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from tests.cli.helpers import Stored, store
from tests.command import Run

STAGING = ("--env", "staging", "--yes")
PROVIDERS = ("resend", "ses", "sendgrid", "mailgun", "postmark")
FROM = Mailbox("login@acme.example", "Acme")


def chain(staging: Stored, sandbox: Sandbox, *accounts: str, tenant: str = "default") -> None:
    """Send a tenant's mail through these accounts, each of them a sandbox."""
    sender = {"from": str(FROM), "providers": accounts}
    staging.put(**{f"senders__{tenant}__auth": json.dumps(sender)})
    for account in accounts:
        for name, value in settings(sandbox, account).items():
            staging.put(**{f"providers__{account}__{name}": value})


def settings(sandbox: Sandbox, account: str) -> dict[str, str]:
    provider = account.partition(".")[0]
    if provider not in sandbox.stubs:
        return {"host": "relay.example"}
    return sandbox.settings(provider) | ({"region": "eu-west-1"} if provider == "ses" else {})


def send(sandbox: Sandbox, provider: str, *addresses: str) -> None:
    """Send mails as deliver does: the sandbox adds addresses at which mail bounces to its list."""
    adapter = load(provider, settings(sandbox, provider))
    for address in addresses:
        adapter.send(Email(FROM, address, "Hello", "<p>Hello</p>", "Hello"), f"key-{address}")


def check(run: Run, *options: str) -> dict[str, Any]:
    done = run("suppressions", "check", *options, "--env", "staging", "--json")
    report: dict[str, Any] = json.loads(done.out)
    return report


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_address_is_found_on_both_lists_and_removed_from_both(
    run: Run, staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    chain(staging, sandbox, provider)
    assert check(run, "bounced@acme.example")["providers"] == [{"account": provider, "suppressed": [], "problem": None}]
    send(sandbox, provider, "bounced@acme.example")
    assert run("suppressions", "add", "bounced@acme.example", *STAGING).code == 0

    report = check(run, "Bounced@acme.example")
    removed = run("suppressions", "remove", "bounced@acme.example", "--at-provider", *STAGING)

    assert [entry["cause"] for entry in report["entries"]] == ["manual"]
    assert [(item["account"], item["suppressed"][0]["cause"]) for item in report["providers"]] == [(provider, "bounce")]
    assert removed.code == 0, removed.text
    assert f"{provider} sends to bounced@acme.example again." in removed.text
    report = check(run, "bounced@acme.example")
    assert (report["entries"], report["providers"][0]["suppressed"]) == ([], [])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_list_is_imported_before_the_first_mail(
    run: Run, staging: Stored, sandbox: Sandbox, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(f"mailroom_ops.suppression_lists.{provider}")
    if provider != "postmark":  # which returns its list in one piece
        monkeypatch.setattr(module, "PAGE_SIZE", 2)
    chain(staging, sandbox, provider)
    bounced = [f"bounced+{number}@acme.example" for number in range(5)]
    send(sandbox, provider, *bounced, "complained@acme.example", "fine@acme.example")

    done = run("suppressions", "pull", "--from", provider, "--tenant", "acme", *STAGING)

    assert done.code == 0, done.text
    assert f"6 addresses of {provider} are suppressed for acme." in done.text
    entries = {item["address"]: item for item in json.loads(run("suppressions", "list", *STAGING[:2], "--json").out)}
    assert {address: item["cause"] for address, item in entries.items()} == {
        **dict.fromkeys(bounced, "bounce"),
        "complained@acme.example": "complaint",
    }
    assert {item["tenant"] for item in entries.values()} == {"acme"}
    assert entries["complained@acme.example"]["codes_until"] is None
    assert entries[bounced[0]]["codes_until"] < entries[bounced[0]]["notices_until"]


def test_an_environment_that_has_sent_no_mail_yet_is_checked_and_filled(
    run: Run, staging: Stored, sandbox: Sandbox
) -> None:
    store("staging").delete(["ledger/address_key"])
    chain(staging, sandbox, "resend")
    send(sandbox, "resend", "bounced@acme.example")
    assert check(run, "bounced@acme.example")["entries"] == []
    assert run("suppressions", "pull", "--from", "resend", *STAGING).code == 0
    assert [entry["cause"] for entry in check(run, "bounced@acme.example")["entries"]] == ["bounce"]


def test_the_plan_of_an_import_is_shown_first_and_needs_a_confirmation(
    run: Run, staging: Stored, sandbox: Sandbox
) -> None:
    chain(staging, sandbox, "resend")
    send(sandbox, "resend", "bounced@acme.example", "complained@acme.example")
    asked = run("suppressions", "pull", "--from", "resend", "--env", "staging")
    assert asked.code == 4
    assert "bounce 1 7 days 180 days" in asked.text
    assert "complaint 1 - 1825 days" in asked.text
    assert "Suppress 2 addresses for default in staging?" in asked.text
    assert "No address is suppressed." in run("suppressions", "list", "--env", "staging").text


def test_only_the_accounts_of_the_tenant_are_asked(run: Run, staging: Stored, sandbox: Sandbox) -> None:
    chain(staging, sandbox, "resend", "ses")
    chain(staging, sandbox, "postmark.acme", tenant="acme")
    accounts = [answer["account"] for answer in check(run, "ada@acme.example", "--tenant", "acme")["providers"]]
    assert accounts == ["postmark.acme"]
    accounts = [answer["account"] for answer in check(run, "ada@acme.example")["providers"]]
    assert accounts == ["resend", "ses", "postmark.acme"]
    accounts = [answer["account"] for answer in check(run, "ada@acme.example", "--account", "ses")["providers"]]
    assert accounts == ["ses"]


@pytest.mark.parametrize("provider", ["smtp", "aliyun", "http"])
def test_a_provider_without_such_calls_is_named_with_what_to_do(
    run: Run, staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    chain(staging, sandbox, provider)
    done = run("suppressions", "check", "ada@acme.example", "--env", "staging")
    assert done.code == 0
    assert f"{provider} has no list that can be asked: " in done.text
    assert run("suppressions", "pull", "--from", provider, *STAGING).code == 2


def test_a_key_that_may_only_send_is_reported_and_another_can_be_passed(
    run: Run, staging: Stored, sandbox: Sandbox, tmp_path: Path
) -> None:
    chain(staging, sandbox, "resend", "ses")
    send(sandbox, "resend", "bounced@acme.example")
    full_access = sandbox.settings("resend")["api_key"]
    staging.put(providers__resend__api_key=f"{full_access}_sending")

    done = run("suppressions", "check", "bounced@acme.example", "--env", "staging")
    removal = run("suppressions", "remove", "bounced@acme.example", "--at-provider", *STAGING)

    assert done.code == 1
    assert "The key in providers/resend/api_key may only send" in done.text
    assert "--key-file" in done.text
    assert "ses not suppressed" in done.text
    assert removal.code == 3
    assert full_access not in done.text + removal.text
    path = tmp_path / "key"
    path.write_text(full_access + "\n")
    key: tuple[str, ...] = ("--key-file", str(path))
    assert "A key belongs to one account." in run("suppressions", "check", "a@b.example", *key, *STAGING[:2]).text
    key = (*key, "--account", "resend")
    assert check(run, "bounced@acme.example", *key)["providers"][0]["suppressed"][0]["cause"] == "bounce"
    assert run("suppressions", "remove", "bounced@acme.example", "--at-provider", *key, *STAGING).code == 0
    assert check(run, "bounced@acme.example", *key)["providers"][0]["suppressed"] == []


def test_postmark_keeps_a_complaint_and_its_refusal_is_shown(run: Run, staging: Stored, sandbox: Sandbox) -> None:
    chain(staging, sandbox, "postmark")
    send(sandbox, "postmark", "complained@acme.example")
    done = run("suppressions", "remove", "complained@acme.example", "--at-provider", *STAGING)
    assert done.code == 3
    assert "You do not have the required authority to change this suppression" in done.text
    assert "ask its support" in done.text


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(Kind.STATUS, status=500), "resend answers with 500."),
        (Fault(Kind.RESET_BEFORE_BODY), "resend does not answer"),
        (Fault(Kind.REPLY, status=404, body="{}"), "resend has no access to Resend's suppression API."),
    ],
)
def test_a_provider_that_fails_is_not_mistaken_for_an_empty_list(
    run: Run, staging: Stored, sandbox: Sandbox, fault: Fault, sentence: str
) -> None:
    chain(staging, sandbox, "resend")
    sandbox.faults.add("resend", fault, 2)
    done = run("suppressions", "check", "ada@acme.example", "--env", "staging")
    assert done.code == 1
    assert sentence in done.text
    assert "resend not suppressed" not in done.text


def test_a_rate_limit_is_waited_for(run: Run, staging: Stored, sandbox: Sandbox) -> None:
    chain(staging, sandbox, "resend")
    send(sandbox, "resend", "bounced@acme.example")
    sandbox.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=0.01))
    assert len(check(run, "bounced@acme.example")["providers"][0]["suppressed"]) == 1


def test_several_lists_of_one_provider_are_distinguished(run: Run, staging: Stored, sandbox: Sandbox) -> None:
    for provider, parts in (
        ("sendgrid", ["unsubscribes", "bounces"]),
        ("mailgun", ["acme.example/unsubscribes", "acme.example/bounces"]),
    ):
        chain(staging, sandbox, provider)
        stub: Any = sandbox.stubs[provider]
        stub.suppressed.add("ada@acme.example", Cause.UNSUBSCRIBE)
        stub.suppressed.add("bob@acme.example", Cause.BOUNCE)
        for address, part in zip(("ada@acme.example", "bob@acme.example"), parts, strict=True):
            (listing,) = check(run, address)["providers"][0]["suppressed"]
            assert listing["list"] == part
            assert run("suppressions", "remove", address, "--at-provider", *STAGING).code == 0
            assert stub.suppressed.find(address) is None
