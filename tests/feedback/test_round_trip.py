"""The whole round trip: a mail leaves through a provider's sandbox, which reports, and the report takes effect."""

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
    """A stack whose sandboxes report, with one tenant for each provider."""
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


def send(each: Running, aws: Aws, tenant: str, to: str, body: dict[str, Any], status: str) -> dict[str, Any]:
    """Post a mail as Logto does; return its row once it has this status and our own outcome."""
    answer = each.logto({"to": to, **body}, tenant)
    assert (answer.status, set(answer.json())) == (200, {"message_id", "status"})
    pk, table = f"message#{answer.json()['message_id']}", each.stack.blueprint.table_name("LedgerTable")

    def is_done() -> bool:
        current = row(aws, table, pk)
        return current.get("status") == status and "ended" in current

    each.until(
        is_done,
        instead=lambda: (row(aws, table, pk), [line for line in each.logs() if '"ERROR"' in line or "WARN" in line]),
    )
    return row(aws, table, pk)


def wait_until_suppressed(each: Running, aws: Aws, tenant: str, to: str) -> None:
    """Wait until a bounce or a complaint has suppressed the address: a moment after it is in the row."""
    ledger = Ledger(aws, each.stack.blueprint.table_name("LedgerTable"))
    mail, key = message(to=to, tenant=tenant), Settings(aws, "development").address_key()
    each.until(lambda: ledger.is_suppressed(mail, Lane.NOTICES, key, time.time()))


def address_for(fate: str) -> str:
    return f"{fate}+{uuid.uuid4().hex[:12]}@example.com"


def entries(outcome: dict[str, Any]) -> list[str]:
    return [entry.get("event") or entry.get("answer") or entry["status"] for entry in outcome["timeline"]]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mail_that_arrived_is_recorded_as_delivered(each: Running, aws: Aws, provider: str) -> None:
    outcome = send(each, aws, provider, address_for("reader"), CODE, "delivered")
    assert sorted(entries(outcome)) == ["accepted", "delivered", "sent"]
    assert (outcome["provider"], outcome["tenant"]) == (provider, provider)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_bounced_address_gets_no_more_mail_from_this_tenant(each: Running, aws: Aws, provider: str) -> None:
    to, other = address_for("bounced"), PROVIDERS[PROVIDERS.index(provider) - 1]
    outcome = send(each, aws, provider, to, INVITATION, "bounced")
    assert outcome["reason"] == "no_mailbox"
    wait_until_suppressed(each, aws, provider, to)
    for spelling, body in ((to, INVITATION), (to.upper(), CODE)):
        again = send(each, aws, provider, spelling, body, "skipped")
        assert again["reason"] == "suppressed"
    assert len(each.mails_to(to, 1)) == 1
    send(each, aws, other, to, INVITATION, "bounced")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_after_a_complaint_codes_are_sent_and_notices_are_not(each: Running, aws: Aws, provider: str) -> None:
    to = address_for("complained")
    outcome = send(each, aws, provider, to, INVITATION, "complained")
    assert {"delivered", "complained"} <= set(entries(outcome))
    wait_until_suppressed(each, aws, provider, to)
    assert send(each, aws, provider, to, INVITATION, "skipped")["reason"] == "suppressed"
    send(each, aws, provider, to, CODE, "complained")
    assert [mail.kind for mail in each.mails_to(to, 2)] == ["sign-in-code", "organization-invitation"]


@pytest.mark.thorough
def test_log_and_rows_contain_nothing_private(each: Running, aws: Aws) -> None:
    for provider in PROVIDERS:
        send(each, aws, provider, address_for("bounced"), INVITATION, "bounced")
    answer: dict[str, Any] = aws.call("dynamodb", "Scan", {"TableName": each.stack.blueprint.table_name("LedgerTable")})
    suppressed = [item for item in answer["Items"] if item["pk"]["S"].startswith("suppressed#")]
    others = [item for item in answer["Items"] if not item["pk"]["S"].startswith("suppressed#")]
    assert suppressed
    assert others
    text = json.dumps(others) + "\n".join(each.logs())
    for mail in each.sandbox.inbox.all():
        assert mail.to not in text
    for canary in (
        "KX7719",
        "canary-7719",
        "local-feedback-secret",
        "local-mailgun-signing-key",
        "whsec_",
        "user unknown",
    ):
        assert canary not in text
    assert "KX7719" not in json.dumps(suppressed)
