"""Alerts for the operator: failing providers, dead letters, ringing alarms. A banner shows them on each page."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from mailroom.delivery.gate import FAILURES_IN_A_ROW
from mailroom.errors import ConfigurationError, PermanentFailure
from mailroom.model.kinds import Lane
from mailroom.model.record import Record, TimelineEntry
from mailroom.providers import NAMES
from mailroom_ops.console.context import PageContext, SharedEnvironment
from mailroom_ops.console.queues import queue_depth
from mailroom_ops.environment import aws_error
from mailroom_ops.errors import OperatorError
from mailroom_ops.ledger.dead_letters import count_letters
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.ledger.reasons import explain
from mailroom_ops.ledger.stats import LIMITS, total
from mailroom_ops.web.server import Request, Response

__all__ = ["Alert", "alerts", "answer"]

MAX_MESSAGES_READ = 60  # of the newest: bounds what the banner costs
ACCEPTED_WITHIN_SECONDS = 1800.0
ATTEMPTED_WITHIN_SECONDS = 600.0
ACCEPTED = "accepted"  # the answer of a provider that took the mail
FAILURES = 3  # in a row: one is retried and says little


@dataclass(frozen=True, slots=True)
class Alert:
    """A sentence about something that needs an operator, and the page where to act; with a lane, a button."""

    text: str
    href: str
    link: str
    lane: str = ""  # whose dead letters the button inspects
    is_known: bool = True  # False where it could not be checked


def alerts(context: PageContext) -> list[Alert]:
    """Return all alerts, as of some seconds ago."""
    return context.alerts.get(lambda: list(_find(context)))


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    """Serve the banner as a part of a page, which each page loads when it is there."""
    if below or request.method == "POST":
        return None
    return context.page("health", {"alerts": [alert for alert in alerts(context) if alert.is_known]})


def _find(context: PageContext) -> Iterator[Alert]:
    checks: dict[str, Callable[[], list[Alert]]] = {
        "providers": lambda: list(_failing_providers(context.queries, time.time())),
        "dead letters": lambda: list(_dead_letters(context.environment)),
        "delivery rates": lambda: list(_rates(context)),
        "alarms": lambda: list(_alarms(context.environment)),
    }
    with ThreadPoolExecutor(len(checks)) as pool:
        results = {name: pool.submit(check) for name, check in checks.items()}
    for name, result in results.items():
        try:
            yield from result.result()
        except OperatorError as error:
            yield _unknown(name, error)
        except (BotoCoreError, ClientError) as error:
            yield _unknown(name, aws_error(error))


def _unknown(name: str, error: OperatorError) -> Alert:
    return Alert(f"The state of {name} is not known: {error.sentence}", "/console/doctor", "Doctor", is_known=False)


def _failing_providers(queries: LedgerQueries, now: float) -> Iterator[Alert]:
    """Yield an alert for each account whose latest attempts all failed, from the timelines of the newest messages."""
    records = islice(queries.find(since=now - ACCEPTED_WITHIN_SECONDS), MAX_MESSAGES_READ)
    for account, attempts in sorted(_attempts(records, now - ATTEMPTED_WITHIN_SECONDS).items()):
        failures = _failures_in_a_row(attempts)
        if not failures:
            continue
        latest = failures[-1]
        explanation = explain(latest.answer)
        is_setting = account.partition(".")[0] not in NAMES
        if latest.error == ConfigurationError.category.lower():
            meaning = explanation.meaning if explanation else latest.detail
            text = f"{account} is misconfigured ({latest.answer}). {meaning}"
            area = "settings" if is_setting else "providers"
            yield Alert(text, f"/console/doctor?area={area}", "Check it")
        elif len(failures) >= FAILURES and not is_setting:
            seconds = now - failures[0].at
            period = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            text = f"{account} is down: the last {len(failures)} attempts failed, over {period} ({latest.answer})."
            if len(failures) >= FAILURES_IN_A_ROW:
                text += " Mail waits at its gate."
            yield Alert(text, f"/console/deliveries?provider={quote(account)}", "Its emails")


def _attempts(records: Iterator[Record], since: float) -> dict[str, list[TimelineEntry]]:
    attempts: dict[str, list[TimelineEntry]] = {}
    for record in records:
        for entry in record.timeline:
            if (entry.error or entry.answer == ACCEPTED) and entry.at >= since:
                attempts.setdefault(entry.provider, []).append(entry)
    return attempts


def _failures_in_a_row(attempts: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Return the latest attempts that all failed, the oldest first; a refusal of one mail shows that it answers."""
    failures: list[TimelineEntry] = []
    for entry in sorted(attempts, key=lambda entry: entry.at, reverse=True):
        if not entry.error or entry.error == PermanentFailure.category.lower():
            break
        failures.insert(0, entry)
    return failures


def _dead_letters(environment: SharedEnvironment) -> Iterator[Alert]:
    for lane in Lane:
        if f"{lane.title()}DeadLetterQueueUrl" not in environment.outputs:
            continue  # an older stack
        if number := queue_depth(environment, lane, is_dead=True).total:
            verb = "waits" if number == 1 else "wait"
            text = f"{count_letters(number).replace('letter', 'dead letter')} {verb} in {lane}."
            yield Alert(text, f"/console/queues/{lane}", "Inspect", lane)


def _rates(context: PageContext) -> Iterator[Alert]:
    now = datetime.now(UTC)
    hours = context.hours.read(context.queries, now - timedelta(hours=24), now)
    for outcome, limit in LIMITS.items():
        if total(hours[-limit.hours :]).rings(outcome):
            verb = "were complained about" if outcome == "complained" else outcome
            text = (
                f"More than {limit.alarm:.2%} of the emails of {limit.hours} hours {verb}: providers review accounts."
            )
            yield Alert(text, "/console/deliverability", "Deliverability")


def _alarms(environment: SharedEnvironment) -> Iterator[Alert]:
    if environment.is_local:
        return  # nothing measures there
    answer = environment.client("cloudwatch").describe_alarms(
        AlarmNamePrefix=environment.stack_name, StateValue="ALARM", MaxRecords=20
    )
    for alarm in answer["MetricAlarms"]:
        name = alarm["AlarmName"].removeprefix(f"{environment.stack_name}-")
        yield Alert(f"The alarm {name} rings. {alarm.get('AlarmDescription', '')}".strip(), "/console/doctor", "Doctor")
