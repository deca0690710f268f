"""Who gets no more mail, until when, and that it is the right one."""

import time
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import boto3
import pytest

from mailroom.aws.client import Aws
from mailroom.errors import ConfigurationError
from mailroom.feedback.intake import Intake
from mailroom.feedback.suppression import DEFAULTS, Cause, Suppressions
from mailroom.ledger.table import Heard, Ledger, keyed_hash
from mailroom.model.event import Event, Reason, Report, What
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.model.message import Message
from mailroom.settings import Settings
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from tests.cloud import put
from tests.factories import KEY, message, row, sent

DAY = 24 * 3600
BOTH = (Lane.CODES, Lane.NOTICES)


@pytest.fixture
def intake(aws: Aws, ledger: Ledger) -> Intake:
    put(aws, "ledger/address_key", KEY)
    return Intake(Settings(aws, "development"), ledger, Suppressions(aws, "ledger"))


@pytest.fixture
def operator(ledger: Ledger, cloud: str) -> LedgerQueries:
    return LedgerQueries(boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=cloud), "ledger", 16, KEY)


def event(said: Message, what: What = What.BOUNCED, **facts: Any) -> Event:
    told = {"recipient": said.to, "permanent": what is What.BOUNCED, **facts}
    return Event(what, "resend", f"{what} {said.id}", time.time(), said.id, **told)


def hear(intake: Intake, *events: Event) -> list[Heard]:
    return [heard for _, heard, _ in intake.take(Report(events))]


def held_back(ledger: Ledger, said: Message, later: float = 0) -> list[Lane]:
    """Return the lanes on which this reader gets nothing."""
    return [lane for lane in Lane if ledger.is_suppressed(said, lane, KEY, time.time() + later)]


def listed(aws: Aws, said: Message) -> dict[str, Any]:
    return row(aws, "ledger", f"suppressed#{said.tenant}#{keyed_hash(KEY, canonical(said.to))}")


@pytest.mark.parametrize(
    ("what", "facts", "lanes"),
    [
        (What.BOUNCED, {"reason": Reason.NO_MAILBOX}, BOTH),
        (What.BOUNCED, {"reason": Reason.OTHER}, BOTH),
        (What.BOUNCED, {"permanent": False}, ()),
        (What.BOUNCED, {"reason": Reason.BLOCKED}, ()),
        (What.BOUNCED, {"reason": Reason.TOO_LARGE}, ()),
        (What.COMPLAINED, {}, (Lane.NOTICES,)),
        (What.UNSUBSCRIBED, {}, (Lane.NOTICES,)),
        (What.SUPPRESSED, {"reason": Reason.PREVIOUS_BOUNCE}, BOTH),
        (What.SUPPRESSED, {"reason": Reason.PREVIOUS_COMPLAINT}, (Lane.NOTICES,)),
        (What.SUPPRESSED, {"reason": Reason.OTHER}, ()),
        (What.DELIVERED, {}, ()),
        (What.DEFERRED, {}, ()),
        (What.REJECTED, {"reason": Reason.CONTENT}, ()),
        (What.OPENED, {}, ()),
    ],
)
def test_what_keeps_mail_back_and_what_does_not(
    intake: Intake, ledger: Ledger, what: What, facts: dict[str, Any], lanes: tuple[Lane, ...]
) -> None:
    said = sent(ledger, message())
    assert hear(intake, event(said, what, **facts)) == [Heard.NEWS]
    assert held_back(ledger, said) == list(lanes)


@pytest.mark.parametrize(
    "spelling",
    ["reader@example.com", "Reader@EXAMPLE.com", "READER@Example.Com"],
)
def test_an_address_is_the_same_however_it_is_spelled(intake: Intake, ledger: Ledger, spelling: str) -> None:
    said = sent(ledger, message(to="reader@example.com"))
    hear(intake, event(said))
    assert held_back(ledger, message(to=spelling)) == list(BOTH)


def test_a_domain_is_the_same_in_unicode_and_on_the_wire(intake: Intake, ledger: Ledger) -> None:
    said = sent(ledger, message(to="reader@straße.example"))
    hear(intake, event(said, recipient="reader@xn--strae-oqa.example"))
    assert held_back(ledger, message(to="reader@xn--strae-oqa.example")) == list(BOTH)
    assert held_back(ledger, message(to="reader@strasse.example")) == []


@pytest.mark.parametrize("other", [{"to": "other@example.com"}, {"to": "reader+tag@example.com"}, {"tenant": "acme"}])
def test_nobody_else_is_kept_from_mail(intake: Intake, ledger: Ledger, other: dict[str, str]) -> None:
    hear(intake, event(sent(ledger, message())))
    assert held_back(ledger, message(**other)) == []


def test_it_ends_when_policy_says(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    said = sent(ledger, message())
    hear(intake, event(said))
    days = DEFAULTS[Cause.BOUNCE]
    assert held_back(ledger, said, (days[Lane.CODES] - 0.01) * DAY) == list(BOTH)
    assert held_back(ledger, said, (days[Lane.CODES] + 0.01) * DAY) == [Lane.NOTICES]
    assert held_back(ledger, said, (days[Lane.NOTICES] + 0.01) * DAY) == []
    assert listed(aws, said)["ttl"] == pytest.approx(time.time() + days[Lane.NOTICES] * DAY, abs=60)


def test_the_period_counts_from_the_event_and_not_from_its_arrival(intake: Intake, ledger: Ledger) -> None:
    said = sent(ledger, message())
    hear(intake, replace(event(said), at=time.time() - 3 * DAY))
    assert held_back(ledger, said, 3.99 * DAY) == list(BOTH)
    assert held_back(ledger, said, 4.01 * DAY) == [Lane.NOTICES]


def test_an_event_that_is_older_than_its_period_suppresses_nobody(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    said = sent(ledger, message())
    hear(intake, replace(event(said), at=time.time() - 181 * DAY))
    assert listed(aws, said) == {}


def test_an_event_from_the_future_suppresses_no_longer_than_one_of_now(intake: Intake, ledger: Ledger) -> None:
    said = sent(ledger, message())
    hear(intake, replace(event(said), at=time.time() + 1000 * DAY))
    assert held_back(ledger, said, 181 * DAY) == []


def test_a_repeated_event_does_not_undo_a_removal(intake: Intake, ledger: Ledger, operator: LedgerQueries) -> None:
    said = sent(ledger, message())
    bounce = event(said)
    hear(intake, bounce)
    assert suppressions.remove(operator, "default", said.to)
    assert hear(intake, bounce, replace(bounce, at=time.time() + 1)) == [Heard.REPEATED] * 2
    assert held_back(ledger, said) == []


def test_an_older_event_of_another_mail_does_not_undo_a_removal(
    intake: Intake, ledger: Ledger, operator: LedgerQueries
) -> None:
    first, second, third = (sent(ledger, message()) for _ in range(3))
    hear(intake, event(first))
    late = event(second, What.COMPLAINED)
    assert suppressions.remove(operator, "default", first.to)
    assert hear(intake, late) == [Heard.NEWS]
    assert held_back(ledger, first) == []
    hear(intake, event(third))
    assert held_back(ledger, first) == list(BOTH)
    older = replace(late, id="another", at=time.time() - DAY)
    hear(intake, older)
    assert held_back(ledger, first, 181 * DAY) == [], "the mark outlives the next suppression"


def test_a_process_that_dies_before_it_suppresses_is_made_up_for_by_the_repeat(
    intake: Intake, ledger: Ledger, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sent(ledger, message())
    bounce = event(said)
    with monkeypatch.context() as patch:
        patch.setattr(Suppressions, "add", die)
        with pytest.raises(SystemExit):
            hear(intake, bounce)
    assert held_back(ledger, said) == []
    assert hear(intake, bounce) == [Heard.REPEATED]
    assert held_back(ledger, said) == list(BOTH)


def test_a_process_that_dies_after_it_suppressed_leaves_a_removal_in_force(
    intake: Intake, ledger: Ledger, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sent(ledger, message())
    bounce = event(said)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "mark_suppressed", die)
        with pytest.raises(SystemExit):
            hear(intake, bounce)
    assert held_back(ledger, said) == list(BOTH)
    assert suppressions.remove(operator, "default", said.to)
    assert hear(intake, bounce) == [Heard.REPEATED]
    assert held_back(ledger, said) == []


def test_a_removal_between_reading_and_writing_the_list_wins(
    intake: Intake, ledger: Ledger, aws: Aws, operator: LedgerQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (sent(ledger, message()) for _ in range(2))
    hear(intake, event(first))
    late, call = event(second, What.COMPLAINED), aws.call
    removed: list[bool] = []

    def interrupted(service: str, operation: str, body: Any) -> Any:
        if operation == "PutItem" and not removed:
            removed.append(suppressions.remove(operator, "default", first.to))
        return call(service, operation, body)

    monkeypatch.setattr(aws, "call", interrupted)
    hear(intake, late)
    assert removed == [True]
    assert held_back(ledger, first) == []


def die(*_: Any) -> None:
    raise SystemExit


def test_a_tenants_policy_completes_the_defaults(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    put(aws, "suppression/default", '{"complaint": {"codes": 30}, "bounce": {"notices": 10}}')
    put(aws, "suppression/acme", '{"complaint": {"codes": 0}}')
    ours, theirs = sent(ledger, message()), sent(ledger, message(tenant="acme"))
    hear(intake, event(ours, What.COMPLAINED), event(theirs, What.COMPLAINED))
    assert held_back(ledger, ours) == list(BOTH)
    assert held_back(ledger, theirs) == [Lane.NOTICES]
    hear(intake, event(theirs))
    assert held_back(ledger, theirs, 11 * DAY) == [Lane.NOTICES], "the complaint lasts longer than the bounce"


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
def test_a_malformed_policy_is_named_and_the_report_is_taken_when_it_is_mended(
    intake: Intake, ledger: Ledger, aws: Aws, policy: str
) -> None:
    put(aws, "suppression/default", policy)
    said = sent(ledger, message())
    with pytest.raises(ConfigurationError, match="suppression/default"):
        hear(intake, event(said))
    put(aws, "suppression/default", "{}")
    intake.settings.refresh()
    assert hear(intake, event(said)) == [Heard.REPEATED]
    assert held_back(ledger, said) == list(BOTH)


def test_the_address_we_wrote_to_is_suppressed_and_not_where_it_was_forwarded_to(
    intake: Intake, ledger: Ledger, aws: Aws
) -> None:
    said = sent(ledger, message(to="reader@example.com"))
    hear(intake, event(said, recipient="elsewhere@example.net"))
    assert held_back(ledger, said) == list(BOTH)
    assert held_back(ledger, message(to="elsewhere@example.net")) == []
    assert listed(aws, said)["address"] == "r•••@example.com"
    hear(intake, replace(event(said, What.COMPLAINED), recipient="READER@example.com"))
    assert listed(aws, said)["address"] == "READER@example.com"


def test_a_row_tells_an_operator_why(intake: Intake, ledger: Ledger, aws: Aws) -> None:
    said = sent(ledger, message())
    hear(intake, event(said))
    found = listed(aws, said)
    assert (found["tenant"], found["address"], found["cause"], found["source"]) == (
        *("default", "reader@example.com", "bounce", "resend"),
    )


def test_an_event_for_a_mail_we_do_not_know_is_told_apart_and_suppresses_nobody(intake: Intake, ledger: Ledger) -> None:
    stranger = message()
    assert hear(intake, event(stranger), replace(event(stranger), message_id="no id at all")) == [Heard.UNKNOWN] * 2
    assert held_back(ledger, stranger) == []


def test_a_mail_that_carried_no_id_is_found_by_its_providers(intake: Intake, ledger: Ledger) -> None:
    said = sent(ledger, message(), "smtp", "relay-1")
    assert hear(intake, replace(event(said), message_id="", provider_id="relay-1")) == [Heard.NEWS]
    assert held_back(ledger, said) == list(BOTH)


def test_what_is_heard_is_counted_by_the_hour_for_the_tenant_and_for_all(
    intake: Intake, ledger: Ledger, aws: Aws
) -> None:
    mails = [sent(ledger, message(tenant=tenant)) for tenant in ("default", "default", "acme")]
    hear(intake, *map(event, mails), event(mails[0], What.OPENED))
    hear(intake, event(mails[0]))
    ledger.tally.flush()
    ledger.tally.flush()
    tallies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for item in aws.call("dynamodb", "Scan", {"TableName": "ledger"})["Items"]:
        if item["pk"]["S"].startswith("tally#"):
            scope = item["pk"]["S"].split("#")[1]
            tallies[scope].update({name: int(value["N"]) for name, value in item.items() if "/" in name})
    assert tallies == {
        "default": {"bounced/resend": 2, "opened/resend": 1},
        "acme": {"bounced/resend": 1},
        "*": {"bounced/resend": 3, "opened/resend": 1},
    }
