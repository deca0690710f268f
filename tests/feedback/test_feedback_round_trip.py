"""The whole way and back: a mail leaves through a provider, the provider reports, and what follows follows."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailroom import feedback
from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.model.kinds import Lane
from mailroom.settings import Settings
from mailroom_ops.local.stack import SECRETS
from tests.factories import message, row
from tests.running import TOKENS, Running, running

PROVIDERS = ("ses", *feedback.PROVIDERS)
CODE = {"type": "SignIn", "payload": {"code": "KX7719", "locale": "en"}}
INVITATION = {
    "type": "OrganizationInvitation",
    "payload": {"link": "https://app.example/invite/canary-7719", "locale": "en"},
}


@pytest.fixture(scope="module")
def each(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack whose sandboxes report back, with one tenant for each provider."""
    file: Path = tmp_path_factory.mktemp("secrets") / "secrets.yaml"
    lines = [
        f"webhooks/logto/{name}/authorization: {TOKENS['default']}\n"
        f"senders/{name}/auth: {{from: Sender <from@{name}.example>, providers: [{name}]}}\n"
        for name in PROVIDERS
    ]
    file.write_text(SECRETS.read_text() + "".join(lines))
    with running(secrets=file, reports=True) as stack:
        yield stack


@pytest.fixture
def aws(each: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with closing(Aws("eu-west-1", each.aws_endpoint)) as client:
        yield client


def say(each: Running, aws: Aws, tenant: str, to: str, body: dict[str, Any], status: str) -> dict[str, Any]:
    """Hand a mail over as Logto does; return its row once it has come to `status`, and we have written our part."""
    answer = each.logto({"to": to, **body}, tenant)
    assert (answer.status, set(answer.json())) == (200, {"message_id", "status"})
    pk, table = f"message#{answer.json()['message_id']}", each.stack.blueprint.table_name("LedgerTable")

    def is_there() -> bool:
        found = row(aws, table, pk)
        return found.get("status") == status and "ended" in found

    each.until(
        is_there,
        instead=lambda: (row(aws, table, pk), [line for line in each.logs() if '"ERROR"' in line or "WARN" in line]),
    )
    return row(aws, table, pk)


def wait_until_held_back(each: Running, aws: Aws, tenant: str, to: str) -> None:
    """Wait for what follows a bounce or a complaint: it comes a moment after the row."""
    ledger = Ledger(aws, each.stack.blueprint.table_name("LedgerTable"))
    said, key = message(to=to, tenant=tenant), Settings(aws, "development").address_key()
    each.until(lambda: ledger.is_suppressed(said, Lane.NOTICES, key, time.time()))


def reader(fate: str) -> str:
    return f"{fate}+{uuid.uuid4().hex[:12]}@example.com"


def entries(found: dict[str, Any]) -> list[str]:
    return [entry.get("event") or entry.get("answer") or entry["status"] for entry in found["timeline"]]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mail_that_arrived_is_known_to_have(each: Running, aws: Aws, provider: str) -> None:
    found = say(each, aws, provider, reader("reader"), CODE, "delivered")
    assert sorted(entries(found)) == ["accepted", "delivered", "sent"]
    assert (found["provider"], found["tenant"]) == (provider, provider)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_bounced_gets_nothing_more_from_this_tenant_and_nobody_can_tell(
    each: Running, aws: Aws, provider: str
) -> None:
    to, other = reader("bounced"), PROVIDERS[PROVIDERS.index(provider) - 1]
    found = say(each, aws, provider, to, INVITATION, "bounced")
    assert found["reason"] == "no_mailbox"
    wait_until_held_back(each, aws, provider, to)
    for spelling, body in ((to, INVITATION), (to.upper(), CODE)):
        again = say(each, aws, provider, spelling, body, "skipped")
        assert again["reason"] == "suppressed"
    assert len(each.mails_to(to, 1)) == 1
    say(each, aws, other, to, INVITATION, "bounced")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_complained_gets_no_more_notices_and_can_still_sign_in(each: Running, aws: Aws, provider: str) -> None:
    to = reader("complained")
    found = say(each, aws, provider, to, INVITATION, "complained")
    assert {"delivered", "complained"} <= set(entries(found))
    wait_until_held_back(each, aws, provider, to)
    assert say(each, aws, provider, to, INVITATION, "skipped")["reason"] == "suppressed"
    say(each, aws, provider, to, CODE, "complained")
    assert [mail.kind for mail in each.mails_to(to, 2)] == ["sign-in-code", "organization-invitation"]


def test_no_log_no_row_and_no_metric_holds_anything_private(each: Running, aws: Aws) -> None:
    for provider in PROVIDERS:
        say(each, aws, provider, reader("bounced"), INVITATION, "bounced")
    answer: dict[str, Any] = aws.call("dynamodb", "Scan", {"TableName": each.stack.blueprint.table_name("LedgerTable")})
    suppressed = [item for item in answer["Items"] if item["pk"]["S"].startswith("suppressed#")]
    others = [item for item in answer["Items"] if not item["pk"]["S"].startswith("suppressed#")]
    assert suppressed
    assert others
    written = json.dumps(others) + "\n".join(each.logs())
    for mail in each.sandbox.inbox.all():
        assert mail.to not in written
    for canary in (
        "KX7719",
        "canary-7719",
        "local-feedback-secret",
        "local-mailgun-signing-key",
        "whsec_",
        "user unknown",
    ):
        assert canary not in written
    assert "KX7719" not in json.dumps(suppressed)
