"""Reports are accepted from the account that sent a mail, and from those that may have sent it."""

import time
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import encode
from mailroom.callbacks.outbox import Outbox
from mailroom.errors import UnknownOutcome
from mailroom.feedback.intake import Intake
from mailroom.feedback.suppression import Suppressions
from mailroom.ledger.table import Ledger
from mailroom.model.event import Event, EventEffect, EventType, Report
from mailroom.model.kinds import Lane
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom.settings import Settings
from tests.cloud import put
from tests.factories import KEY, NOW, message, row, sent


@pytest.fixture
def intake(aws: Aws, ledger: Ledger) -> Intake:
    put(aws, "ledger/address_key", KEY)
    settings = Settings(aws, "development")
    return Intake(settings, ledger, Suppressions(aws, "ledger"), Outbox(settings, None))


def complaint(mail: Message, account: str) -> Event:
    return Event(EventType.COMPLAINED, account, "e1", time.time(), mail.id, recipient=mail.to)


def is_believed(intake: Intake, mail: Message, account: str) -> bool:
    """Report a complaint as this account; return whether it changed the status and suppressed the recipient."""
    ((_, effect, _),) = intake.process(Report([complaint(mail, account)]))
    record = intake.ledger.read(mail.id)
    assert record
    changed = record.status == "complained"
    assert changed is any(entry.event for entry in record.timeline)
    assert changed is intake.ledger.is_suppressed(mail, Lane.NOTICES, KEY, time.time())
    assert (effect is EventEffect.NEW) is changed
    return changed


@pytest.mark.parametrize(
    ("carrier", "account", "believed"),
    [
        ("resend", "resend", True),
        ("resend.acme", "resend.acme", True),
        ("resend", "resend.acme", False),
        ("resend.acme", "resend", False),
        ("resend.acme", "resend.globex", False),
        ("resend", "postmark", False),
        ("resend.acme", "postmark.acme", False),
        # A relay reports under the name of the provider behind it.
        ("smtp", "resend", True),
        ("smtp.acme", "resend.acme", True),
        ("smtp", "resend.acme", False),
        ("smtp.acme", "resend", False),
        # Events of SES come by IAM, under one name for all its accounts.
        ("ses", "ses", True),
        ("ses.acme", "ses", True),
        ("smtp.acme", "ses", True),
        ("resend", "ses", False),
    ],
)
def test_an_account_reports_about_its_own_mail_only(
    intake: Intake, ledger: Ledger, carrier: str, account: str, believed: bool
) -> None:
    mail = sent(ledger, message(tenant="acme" if "." in carrier else "default"), carrier)
    assert is_believed(intake, mail, account) is believed


@pytest.mark.parametrize(
    ("tenant", "account", "believed"),
    [
        ("default", "resend", True),
        ("acme", "resend", True),
        ("acme", "resend.acme", True),
        ("default", "resend.acme", False),
        ("globex", "resend.acme", False),
    ],
)
def test_until_the_sender_is_known_only_accounts_of_the_tenant_are_believed(
    intake: Intake, ledger: Ledger, tenant: str, account: str, believed: bool
) -> None:
    mail = message(tenant=tenant)
    ledger.claim(Parcel.of(mail), KEY, "token", NOW)
    assert is_believed(intake, mail, account) is believed


def test_a_provider_that_never_answered_may_report_late(intake: Intake, ledger: Ledger) -> None:
    mail = message(tenant="acme")
    parcel = Parcel.of(mail)
    ledger.claim(parcel, KEY, "first", NOW)
    silence = (Attempt(NOW, "smtp.acme", "no_answer", error=UnknownOutcome),)
    ledger.release(mail.id, "first", 1, Outcome(Status.ACCEPTED, "no_answer", tries=silence, retry_in=1))
    ledger.claim(parcel.next_attempt(None), KEY, "second", NOW + 1)
    ledger.finish(mail.id, "second", Outcome(Status.SENT, "", "resend", "re-1"), NOW + 1)
    assert is_believed(intake, mail, "postmark") is False
    assert is_believed(intake, mail, "smtp.acme") is True


def test_a_provider_that_may_hold_the_mail_may_report_about_it(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mail = sent(ledger, message(), "resend")
    offered: dict[str, Any] = {
        "TableName": "ledger",
        "Key": {"pk": {"S": f"message#{mail.id}"}},
        "UpdateExpression": "SET offered = :offered",
        "ExpressionAttributeValues": {":offered": encode(["resend", "postmark"])},
    }
    aws.call("dynamodb", "UpdateItem", offered)
    assert is_believed(intake, mail, "mailgun") is False
    assert is_believed(intake, mail, "postmark") is True


def test_a_report_of_a_foreign_account_changes_nothing(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mail = sent(ledger, message(), "resend")
    before = row(aws, "ledger", f"message#{mail.id}")
    assert is_believed(intake, mail, "resend.acme") is False
    assert row(aws, "ledger", f"message#{mail.id}") == before
    assert is_believed(intake, mail, "resend") is True
