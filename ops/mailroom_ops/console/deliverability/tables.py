"""The tables: outcomes by provider and by tenant, and why emails were not sent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from mailroom_ops.console.context import PageContext
from mailroom_ops.console.deliverability.figures import percent
from mailroom_ops.console.deliverability.period import Period
from mailroom_ops.errors import OperatorError
from mailroom_ops.ledger.reasons import explain
from mailroom_ops.ledger.stats import NOT_SENT, NOT_SENT_AFTER_ALL, Counts, total
from mailroom_ops.settings import tenants
from mailroom_ops.settings.parameters import Parameters

__all__ = ["provider_rows", "reasons", "tenant_table"]

MAX_ROWS_READ = 50_000  # for the table of tenants: 25,000 read units, a third of a US cent
REPORTED = ("delivered", "deferred", "bounced", "complained")
STATUS_DESCRIPTIONS = {
    "skipped": "deliberately not sent",
    "failed": "could not be sent",
    "unknown": "the provider never confirmed",
    "rejected": "accepted, then refused by the provider",
    "suppressed": "on the provider’s own suppression list",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A count, and its share of what was sent."""

    number: str
    share: str
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The outcomes of one provider or tenant; without reports there are no cells."""

    name: str
    sent: str
    cells: Sequence[Cell]
    not_sent: str
    failed_attempts: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """The number of emails that were not sent for one reason."""

    status: str
    meaning: str
    next_step: str
    reason: str
    number: str
    href: str


def provider_rows(whole: Counts) -> list[Row]:
    """Return a row for each provider, worst first."""
    counts = {name: _of_provider(whole, name) for name in whole.providers}
    return [_row(name, counts[name]) for name in sorted(counts, key=lambda name: _rank(counts[name]))]


def tenant_table(context: PageContext, period: Period, tenant: str, since: str) -> dict[str, Any]:
    """Return the template values of the table of tenants, worst first, over as many hours as MAX_ROWS_READ allows."""
    empty: dict[str, Any] = {"names": [], "tenants": [], "tenants_hours": 0, "left_out": 0, "refusal": ""}
    try:
        names = _tenant_names(context)
    except OperatorError as error:
        return empty | {"refusal": f"{error.sentence} {error.todo}".strip()}
    if tenant:
        return empty | {"names": names}
    shown = names[: max(1, MAX_ROWS_READ // context.queries.shards)]
    hours = min(len(period.hours), max(1, MAX_ROWS_READ // (len(shown) * context.queries.shards)))
    first = period.hours[-hours].hour
    hours_of = context.hours.read_each(context.queries, first, datetime.now(UTC), shown)
    counts = {name: total(tenant_hours) for name, tenant_hours in hours_of.items()}
    active = sorted((name for name in shown if counts[name].counts), key=lambda name: _rank(counts[name]))
    rows = [_row(name, counts[name], _path(name, since)) for name in active]
    if hours == len(period.hours) and len(shown) == len(names) and (others := _others(period, counts.values())).counts:
        rows.append(_row("others, removed since", others))
    limited_to = 0 if hours == len(period.hours) else hours
    return empty | {"names": names, "tenants": rows, "tenants_hours": limited_to, "left_out": len(names) - len(shown)}


def reasons(whole: Counts, tenant: str, since: str) -> Iterator[ReasonRow]:
    """Yield why emails were not sent, the most frequent reason first."""
    counts = [(n, status, reason) for status in STATUS_DESCRIPTIONS for reason, n in whole.split(status).items()]
    for number, status, reason in sorted(counts, key=lambda count: (-count[0], count[1:])):
        query = {"since": "all" if since == "month" else since}
        query |= {"status": "failed" if status in NOT_SENT_AFTER_ALL else status}
        query |= {"reason": reason} if reason else {}
        query |= {"tenant": tenant} if tenant else {}
        explanation = explain(reason, status)
        yield ReasonRow(
            status,
            explanation.meaning if explanation else f"{STATUS_DESCRIPTIONS[status].capitalize()}.",
            explanation.next_step if explanation else "",
            reason or "no reason recorded",
            f"{number:,}",
            f"/console/deliveries?{urlencode(query)}",
        )


def _row(name: str, counts: Counts, href: str = "") -> Row:
    cells = []
    for outcome in REPORTED if counts.reporting else ():
        share = counts.rate(outcome, *counts.reporting)
        cells.append(Cell(f"{counts.of(outcome):,}", "" if share is None else percent(share), counts.is_over(outcome)))
    not_sent = sum(map(counts.of, (*NOT_SENT, *NOT_SENT_AFTER_ALL)))
    return Row(name, f"{counts.of('sent'):,}", cells, f"{not_sent:,}", f"{counts.failed_attempts():,}", href)


def _others(period: Period, listed: Iterable[Counts]) -> Counts:
    """Return the counts of tenants that are not listed, because they have no settings any more."""
    others = Counter(total(period.hours).counts)
    for counts in listed:
        others.subtract(counts.counts)
    return Counts(period.hours[0].hour, +others)


def _of_provider(whole: Counts, provider: str) -> Counts:
    counts = {key: number for key, number in whole.counts.items() if key[1].partition("/")[0] == provider}
    return Counts(whole.hour, type(whole.counts)(counts))


def _tenant_names(context: PageContext) -> list[str]:
    store = Parameters(context.environment)
    configured = tenants.list_tenants({**store.values("senders"), **store.values("brands")})
    return sorted({tenants.DEFAULT, *(tenant.name for tenant in configured)})


def _rank(counts: Counts) -> tuple[float, int]:
    return -counts.risk, -counts.of("sent")


def _path(tenant: str, since: str) -> str:
    return f"/console/deliverability?{urlencode({'tenant': tenant, 'since': since})}"
