"""Who gets no more mail, until when, and that it is the right one."""

import time
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

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
from tests.cloud import put
from tests.factories import KEY, message, row, sent

DAY = 24 * 3600
BOTH = (Lane.CODES, Lane.NOTICES)


@pytest.fixture
def intake(aws: Aws, ledger: Ledger) -> Intake:
    put(aws, "ledger/address_key", KEY)
    return Intake(Settings(aws, "development"), ledger, Suppressions(aws, "ledger"))


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
