"""Health by provider and domain group: counted from deliveries and reports, and read from the tallies."""

import time

import pytest

from mailroom.aws.client import Aws
from mailroom.callbacks.outbox import Outbox
from mailroom.feedback.intake import Intake
from mailroom.feedback.suppression import Suppressions
from mailroom.ledger.domain_health import Health, count_sent, read_health
from mailroom.ledger.table import Ledger
from mailroom.model.domain_groups import group_of, own_group
from mailroom.model.event import Event, EventType, Report
from mailroom.model.message import Message
from mailroom.settings import Settings
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.stats import HealthRow, health_rows, stats, total
from tests.factories import KEY, message, sent


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("ada@gmail.com", "gmail"),
        ("a•••@googlemail.com", "gmail"),
        ("ada@Outlook.com", "outlook"),
        ("ada@hotmail.co.uk", "outlook"),
        ("ada@live.fr", "outlook"),
        ("ada@msn.com", "outlook"),
        ("ada@yahoo.co.jp", "yahoo"),
        ("ada@yahoo.com.br", "yahoo"),
        ("ada@ymail.com", "yahoo"),
        ("ada@aol.com", "yahoo"),
        ("ada@me.com", "icloud"),
        ("ada@mac.com", "icloud"),
        ("ada@example.com", "other"),
        ("ada@live.acme.com", "other"),
        ("ada@mail.gmail.com", "other"),
        ("nobody", "other"),
    ],
)
def test_an_address_belongs_to_the_group_of_its_receiving_domain(address: str, group: str) -> None:
    assert group_of(address) == group


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ada@acme.example", "acme.example"),
        ("a•••@Acme.Example", "acme.example"),
        ("ada@mail.acme.example", "acme.example"),
        ("ada@eu.acme.example", "eu.acme.example"),
        ("ada@notacme.example", ""),
        ("ada@gmail.com", ""),
        ("nobody", ""),
    ],
)
def test_a_tenant_may_have_groups_of_its_own(address: str, domain: str) -> None:
    assert own_group(address, ["acme.example", "eu.acme.example", "gmail.com"]) == domain


@pytest.fixture
def intake(ledger: Ledger, aws: Aws) -> Intake:
    settings = Settings(aws, "development")
    return Intake(settings, ledger, Suppressions(aws, "ledger"), Outbox(settings, None))


def send(ledger: Ledger, to: str = "ada@gmail.com", provider: str = "resend", age: float = 60) -> Message:
    mail = sent(ledger, message(to=to, created_at=time.time() - age), provider, key=KEY)
    count_sent(ledger.tally, mail, provider)
    return mail


def report(intake: Intake, mail: Message, type_: EventType, after: float = 0, provider: str = "resend") -> None:
    """Report an event so many seconds after the provider has accepted a mail."""
    event = Event(type_, provider, f"{type_} {mail.id} {after}", mail.created_at + after, mail.id)
    list(intake.process(Report([event])))


def health(ledger: Ledger, queries: LedgerQueries) -> dict[tuple[str, str], Health]:
    ledger.tally.flush()
    now = time.time()
    return total(list(stats(queries, now - 3600, now))).health


def test_deliveries_are_counted_by_provider_domain_group_and_time(
    intake: Intake, ledger: Ledger, queries: LedgerQueries
) -> None:
    for seconds in (1, 3, 4, 4500):
        report(intake, send(ledger), EventType.DELIVERED, after=seconds)
    report(intake, send(ledger, "ada@example.com", "ses"), EventType.DELIVERED, after=19, provider="ses")
    send(ledger, "ada@example.com", "ses")
    by_group = health(ledger, queries)
    assert by_group == {
        ("resend", "gmail"): Health(4, within={2: 1, 5: 2, float("inf"): 1}),
        ("ses", "other"): Health(2, within={20: 1}),
    }
    gmail = by_group["resend", "gmail"]
    assert (gmail.percentile(0.5), gmail.percentile(0.95)) == (5, float("inf"))
    assert gmail.delivered_within(5) == 0.75
    assert Health().percentile(0.5) is None


def test_a_mail_counts_once_however_often_an_event_is_reported(
    intake: Intake, ledger: Ledger, queries: LedgerQueries
) -> None:
    mail = send(ledger)
    for seconds in (1, 2, 2, 9):
        report(intake, mail, EventType.DEFERRED, after=seconds)
    for seconds in (10, 10, 40):
        report(intake, mail, EventType.DELIVERED, after=seconds)
    report(intake, mail, EventType.BOUNCED, after=90)
    assert health(ledger, queries) == {("resend", "gmail"): Health(1, 1, 1, {10: 1})}


def test_a_mail_counts_for_the_relay_that_sent_it_and_not_for_who_reports(
    intake: Intake, ledger: Ledger, queries: LedgerQueries
) -> None:
    report(intake, send(ledger, provider="smtp"), EventType.DELIVERED, after=5, provider="ses")
    assert health(ledger, queries) == {("smtp", "gmail"): Health(1, within={5: 1})}


def test_the_table_has_shares_and_times_in_words() -> None:
    rows = health_rows(
        {
            ("ses", "other"): Health(3, within={float("inf"): 1}),
            ("ses", "gmail"): Health(200, 1, 2, {2: 100, 300: 90}),
            ("resend", "icloud"): Health(1),
            ("resend", "other"): Health(1),
            ("resend", "acme.example"): Health(1),
        }
    )
    assert rows == [
        HealthRow("resend", "icloud", "1", "0", "0", "0", "–", "–"),
        HealthRow("resend", "acme.example", "1", "0", "0", "0", "–", "–"),
        HealthRow("resend", "other", "1", "0", "0", "0", "–", "–"),
        HealthRow("ses", "gmail", "200", "190 (95.0%)", "1 (0.5%)", "2 (1.0%)", "2 s", "5 min"),
        HealthRow("ses", "other", "3", "1 (33.3%)", "0", "0", "over 30 min", "over 30 min"),
    ]


def test_counters_without_a_group_are_not_health() -> None:
    assert read_health({"sent/resend": 3, "skipped/expired": 1}) == {}


def test_the_counters_hold_no_address(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    report(intake, send(ledger, "ada@secret.example"), EventType.DELIVERED)
    ledger.tally.flush()
    rows = aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]
    assert "secret" not in str([row for row in rows if row["pk"]["S"].startswith("tally#")])
