"""The suppression list: which events suppress an address, for how long, and what ends it."""

import time
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.callbacks.outbox import Outbox
from mailroom.errors import ConfigurationError, TemporaryFailure
from mailroom.feedback.intake import Intake
from mailroom.feedback.suppression import DEFAULTS, Cause, Suppressions
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import Ledger
from mailroom.model.event import Event, EventEffect, EventType, Reason, Report
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.model.message import Message
from mailroom.model.outcome import Attempt, Status
from mailroom.settings import Settings
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from tests.cloud import operations, put
from tests.factories import KEY, event, message, row, sent

DAY = 24 * 3600
BOTH = (Lane.CODES, Lane.NOTICES)


@pytest.fixture
def intake(aws: Aws, ledger: Ledger) -> Intake:
    put(aws, "ledger/address_key", KEY)
    settings = Settings(aws, "development")
    return Intake(settings, ledger, Suppressions(aws, "ledger"), Outbox(settings, None))


@pytest.fixture
def operator(ledger: Ledger, cloud: str) -> LedgerQueries:
    return LedgerQueries(boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=cloud), "ledger", 16, KEY)


def rescued(ledger: Ledger, **fields: Any) -> Message:
    """Return a mail that Resend accepted, and then SES."""
    mail = sent(ledger, message(**fields))
    assert ledger.claim_rescue(mail.id, "token", "rescue", "ses", Status.SENT)
    ledger.end_rescue(mail.id, "rescue", (Attempt(time.time(), "ses", "accepted"),), ("ses",))
    return mail


def report_on(mail: Message, type_: EventType = EventType.BOUNCED, **fields: Any) -> Event:
    """Return an event of now that the mail's provider reports."""
    values = {"recipient": mail.to, "permanent": type_ is EventType.BOUNCED, "at": time.time(), **fields}
    return replace(event(type_, mail.id), **values)


def process(intake: Intake, *events: Event) -> list[EventEffect]:
    """Process a report of these events; return their effects."""
    return [effect for _, effect, _ in intake.process(Report(events))]


def suppressed_lanes(ledger: Ledger, mail: Message, later: float = 0) -> list[Lane]:
    """Return the lanes on which the recipient of a message is suppressed, some seconds later."""
    return [lane for lane in Lane if ledger.is_suppressed(mail, lane, KEY, time.time() + later)]


def entry_of(aws: Aws, mail: Message) -> dict[str, Any]:
    return row(aws, "ledger", f"suppressed#{mail.tenant}#{keyed_hash(KEY, canonical(mail.to))}")


@pytest.mark.parametrize(
    ("type_", "fields", "lanes"),
    [
        (EventType.BOUNCED, {"reason": Reason.NO_MAILBOX}, BOTH),
        (EventType.BOUNCED, {"reason": Reason.OTHER}, BOTH),
        (EventType.BOUNCED, {"permanent": False}, ()),
        (EventType.BOUNCED, {"reason": Reason.BLOCKED}, ()),
        (EventType.BOUNCED, {"reason": Reason.TOO_LARGE}, ()),
        (EventType.COMPLAINED, {}, (Lane.NOTICES,)),
        (EventType.UNSUBSCRIBED, {}, (Lane.NOTICES,)),
        (EventType.SUPPRESSED, {"reason": Reason.PREVIOUS_BOUNCE}, BOTH),
        (EventType.SUPPRESSED, {"reason": Reason.PREVIOUS_COMPLAINT}, (Lane.NOTICES,)),
        (EventType.SUPPRESSED, {"reason": Reason.OTHER}, ()),
        (EventType.DELIVERED, {}, ()),
        (EventType.DEFERRED, {}, ()),
        (EventType.REJECTED, {"reason": Reason.CONTENT}, ()),
        (EventType.OPENED, {}, ()),
    ],
)
def test_only_some_events_suppress_their_recipient(
    intake: Intake, ledger: Ledger, type_: EventType, fields: dict[str, Any], lanes: tuple[Lane, ...]
) -> None:
    mail = sent(ledger, message())
    assert process(intake, report_on(mail, type_, **fields)) == [EventEffect.NEW]
    assert suppressed_lanes(ledger, mail) == list(lanes)


@pytest.mark.parametrize("type_", [EventType.DELIVERED, EventType.COMPLAINED])
def test_the_bounce_of_one_copy_suppresses_no_codes_where_another_has_arrived(
    intake: Intake, ledger: Ledger, type_: EventType
) -> None:
    mail = rescued(ledger)
    process(intake, report_on(mail, type_, provider="ses"))
    process(intake, report_on(mail, EventType.BOUNCED, reason=Reason.NO_MAILBOX))
    assert Lane.CODES not in suppressed_lanes(ledger, mail)


@pytest.mark.parametrize("first", ["resend", "ses"])
def test_the_bounce_of_one_copy_suppresses_nobody_before_the_other_has_bounced_too(
    intake: Intake, ledger: Ledger, first: str
) -> None:
    delivered, bounced = rescued(ledger), rescued(ledger, to="nobody@example.com")
    second = "ses" if first == "resend" else "resend"
    for mail in (delivered, bounced):
        process(intake, report_on(mail, EventType.BOUNCED, reason=Reason.NO_MAILBOX, provider=first))
        assert suppressed_lanes(ledger, mail) == []
    process(intake, report_on(delivered, EventType.DELIVERED, provider=second))
    process(intake, report_on(bounced, EventType.BOUNCED, reason=Reason.NO_MAILBOX, provider=second))
    assert suppressed_lanes(ledger, delivered) == []
    assert suppressed_lanes(ledger, bounced) == list(BOTH)


@pytest.mark.parametrize(
    "spelling",
    ["reader@example.com", "Reader@EXAMPLE.com", "READER@Example.Com"],
)
def test_upper_and_lower_case_are_the_same_address(intake: Intake, ledger: Ledger, spelling: str) -> None:
    mail = sent(ledger, message(to="reader@example.com"))
    process(intake, report_on(mail))
    assert suppressed_lanes(ledger, message(to=spelling)) == list(BOTH)


def test_both_spellings_of_an_international_domain_are_the_same_address(intake: Intake, ledger: Ledger) -> None:
    mail = sent(ledger, message(to="reader@straße.example"))
    process(intake, report_on(mail, recipient="reader@xn--strae-oqa.example"))
    assert suppressed_lanes(ledger, message(to="reader@xn--strae-oqa.example")) == list(BOTH)
    assert suppressed_lanes(ledger, message(to="reader@strasse.example")) == []


@pytest.mark.parametrize("other", [{"to": "other@example.com"}, {"to": "reader+tag@example.com"}, {"tenant": "acme"}])
def test_nobody_else_is_suppressed(intake: Intake, ledger: Ledger, other: dict[str, str]) -> None:
    process(intake, report_on(sent(ledger, message())))
    assert suppressed_lanes(ledger, message(**other)) == []


def test_a_suppression_ends_after_the_period_of_the_policy(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mail = sent(ledger, message())
    process(intake, report_on(mail))
    days = DEFAULTS[Cause.BOUNCE]
    assert suppressed_lanes(ledger, mail, (days[Lane.CODES] - 0.01) * DAY) == list(BOTH)
    assert suppressed_lanes(ledger, mail, (days[Lane.CODES] + 0.01) * DAY) == [Lane.NOTICES]
    assert suppressed_lanes(ledger, mail, (days[Lane.NOTICES] + 0.01) * DAY) == []
    assert entry_of(aws, mail)["ttl"] == pytest.approx(time.time() + days[Lane.NOTICES] * DAY, abs=60)


def test_the_period_counts_from_the_event_and_not_from_its_arrival(intake: Intake, ledger: Ledger) -> None:
    mail = sent(ledger, message())
    process(intake, replace(report_on(mail), at=time.time() - 3 * DAY))
    assert suppressed_lanes(ledger, mail, 3.99 * DAY) == list(BOTH)
    assert suppressed_lanes(ledger, mail, 4.01 * DAY) == [Lane.NOTICES]


def test_an_event_that_is_older_than_its_period_suppresses_nobody(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mail = sent(ledger, message())
    process(intake, replace(report_on(mail), at=time.time() - 181 * DAY))
    assert entry_of(aws, mail) == {}


def test_an_event_from_the_future_suppresses_no_longer_than_one_of_now(intake: Intake, ledger: Ledger) -> None:
    mail = sent(ledger, message())
    process(intake, replace(report_on(mail), at=time.time() + 1000 * DAY))
    assert suppressed_lanes(ledger, mail, 181 * DAY) == []


def test_a_repeated_event_does_not_undo_a_removal(intake: Intake, ledger: Ledger, operator: LedgerQueries) -> None:
    mail = sent(ledger, message())
    bounce = report_on(mail)
    process(intake, bounce)
    assert suppressions.remove(operator, "default", mail.to)
    assert process(intake, bounce, replace(bounce, at=time.time() + 1)) == [EventEffect.REPEATED] * 2
    assert suppressed_lanes(ledger, mail) == []


def test_an_older_event_of_another_mail_does_not_undo_a_removal(
    intake: Intake, ledger: Ledger, operator: LedgerQueries
) -> None:
    first, second, third = (sent(ledger, message()) for _ in range(3))
    process(intake, report_on(first))
    late = report_on(second, EventType.COMPLAINED)
    assert suppressions.remove(operator, "default", first.to)
    assert process(intake, late) == [EventEffect.NEW]
    assert suppressed_lanes(ledger, first) == []
    process(intake, report_on(third))
    assert suppressed_lanes(ledger, first) == list(BOTH)
    older = replace(late, id="another", at=time.time() - DAY)
    process(intake, older)
    assert suppressed_lanes(ledger, first, 181 * DAY) == [], "the mark outlives the next suppression"


def test_a_repeated_event_suppresses_if_a_crash_came_between_the_writes(
    intake: Intake, ledger: Ledger, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = sent(ledger, message())
    bounce = report_on(mail)
    with monkeypatch.context() as patch:
        patch.setattr(Suppressions, "add", die)
        with pytest.raises(SystemExit):
            process(intake, bounce)
    assert suppressed_lanes(ledger, mail) == []
    assert process(intake, bounce) == [EventEffect.REPEATED]
    assert suppressed_lanes(ledger, mail) == list(BOTH)


def test_a_removal_holds_after_a_crash_between_the_writes(
    intake: Intake, ledger: Ledger, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = sent(ledger, message())
    bounce = report_on(mail)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "mark_suppressed", die)
        with pytest.raises(SystemExit):
            process(intake, bounce)
    assert suppressed_lanes(ledger, mail) == list(BOTH)
    assert suppressions.remove(operator, "default", mail.to)
    assert process(intake, bounce) == [EventEffect.REPEATED]
    assert suppressed_lanes(ledger, mail) == []


def test_a_removal_between_reading_and_writing_an_entry_holds(
    intake: Intake, ledger: Ledger, aws: Aws, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (sent(ledger, message()) for _ in range(2))
    process(intake, report_on(first))
    late, call = report_on(second, EventType.COMPLAINED), aws.call
    removed: list[bool] = []

    def interrupted(service: str, operation: str, body: Any) -> Any:
        if operation == "PutItem" and not removed:
            removed.append(suppressions.remove(operator, "default", first.to))
        return call(service, operation, body)

    monkeypatch.setattr(aws, "call", interrupted)
    process(intake, late)
    assert removed == [True]
    assert suppressed_lanes(ledger, first) == []


def die(*_: Any) -> None:
    raise SystemExit


def test_a_tenants_policy_overrides_the_defaults(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    put(aws, "suppression/default", '{"complaint": {"codes": 30}, "bounce": {"notices": 10}}')
    put(aws, "suppression/acme", '{"complaint": {"codes": 0}}')
    default, acme = sent(ledger, message()), sent(ledger, message(tenant="acme"))
    process(intake, report_on(default, EventType.COMPLAINED), report_on(acme, EventType.COMPLAINED))
    assert suppressed_lanes(ledger, default) == list(BOTH)
    assert suppressed_lanes(ledger, acme) == [Lane.NOTICES]
    process(intake, report_on(acme))
    assert suppressed_lanes(ledger, acme, 11 * DAY) == [Lane.NOTICES], "the complaint lasts longer than the bounce"


@pytest.mark.parametrize(
    "policy",
    [
        '{"bounces": {}}',
        '{"bounce": 7}',
        '{"bounce": {"mails": 7}}',
        '{"bounce": {"codes": -1}}',
        '{"bounce": {"codes": "7"}}',
        '{"bounce": {"codes": 1e9}}',
        "[]",
        "7 days",
    ],
)
def test_a_malformed_policy_is_named_and_the_repeated_report_suppresses(
    intake: Intake, ledger: Ledger, aws: Aws, policy: str
) -> None:
    put(aws, "suppression/default", policy)
    mail = sent(ledger, message())
    with pytest.raises(ConfigurationError, match="suppression/default"):
        process(intake, report_on(mail))
    put(aws, "suppression/default", "{}")
    intake.settings.forget()
    assert process(intake, report_on(mail)) == [EventEffect.REPEATED]
    assert suppressed_lanes(ledger, mail) == list(BOTH)


def test_the_address_we_wrote_to_is_suppressed_not_a_forwarding_address(
    intake: Intake, ledger: Ledger, aws: Aws
) -> None:
    mail = sent(ledger, message(to="reader@example.com"))
    process(intake, report_on(mail, recipient="elsewhere@example.net"))
    assert suppressed_lanes(ledger, mail) == list(BOTH)
    assert suppressed_lanes(ledger, message(to="elsewhere@example.net")) == []
    assert entry_of(aws, mail)["address"] == "r•••@example.com"
    process(intake, replace(report_on(mail, EventType.COMPLAINED), recipient="READER@example.com"))
    assert entry_of(aws, mail)["address"] == "READER@example.com"


def test_an_entry_has_tenant_address_cause_and_source(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mail = sent(ledger, message())
    process(intake, report_on(mail))
    entry = entry_of(aws, mail)
    assert (entry["tenant"], entry["address"]) == ("default", "reader@example.com")
    assert (entry["cause"], entry["source"]) == ("bounce", "resend")


def test_an_event_about_an_unknown_message_suppresses_nobody(intake: Intake, ledger: Ledger) -> None:
    unknown = message()
    without_id = replace(report_on(unknown), message_id="no id at all")
    assert process(intake, report_on(unknown), without_id) == [EventEffect.UNKNOWN] * 2
    assert suppressed_lanes(ledger, unknown) == []


def test_an_event_without_our_id_is_matched_by_the_providers_id(intake: Intake, ledger: Ledger) -> None:
    mail = sent(ledger, message(), "smtp", "relay-1")
    assert process(intake, replace(report_on(mail), message_id="", provider_id="relay-1")) == [EventEffect.NEW]
    assert suppressed_lanes(ledger, mail) == list(BOTH)


def test_new_events_are_counted_by_hour_for_the_tenant_and_for_all(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    mails = [sent(ledger, message(tenant=tenant)) for tenant in ("default", "default", "acme")]
    process(intake, *map(report_on, mails), report_on(mails[0], EventType.OPENED))
    process(intake, report_on(mails[0]))
    ledger.tally.flush()
    ledger.tally.flush()
    tallies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]:
        if item["pk"]["S"].startswith("tally#"):
            scope = item["pk"]["S"].split("#")[1]
            tallies[scope].update({name: int(value["N"]) for name, value in item.items() if "/" in name})
    assert tallies == {
        "default": {"bounced/resend": 2, "bounced@other/resend": 2, "opened/resend": 1},
        "acme": {"bounced/resend": 1, "bounced@other/resend": 1},
        "*": {"bounced/resend": 3, "bounced@other/resend": 3, "opened/resend": 1},
    }


def test_the_first_report_reads_settings_in_one_call(
    aws: Aws, ledger: Ledger, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = sent(ledger, message(tenant="acme"))
    calls = operations(aws, monkeypatch)
    assert process(intake, report_on(mail)) == [EventEffect.NEW]
    assert [name for name in calls if "Parameter" in name] == ["GetParameters"]


def test_a_report_is_recorded_where_settings_cannot_be_read(
    aws: Aws, ledger: Ledger, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(service: str, *arguments: Any, **options: Any) -> Any:
        if service == "ssm":
            raise TemporaryFailure("ssm", "throttled")
        return original(service, *arguments, **options)

    original = aws.call
    monkeypatch.setattr(aws, "call", call)
    mail = sent(ledger, message())
    assert process(intake, report_on(mail, EventType.DELIVERED)) == [EventEffect.NEW]
    assert row(aws, "ledger", f"message#{mail.id}")["status"] == Status.DELIVERED
