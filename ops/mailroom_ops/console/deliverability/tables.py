"""The tables: what became of each provider's and each tenant's mail, and why mail was not sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from mailroom_ops.console.context import PageContext
from mailroom_ops.console.deliverability.figures import percent
from mailroom_ops.console.deliverability.period import Period
from mailroom_ops.errors import OperatorError
from mailroom_ops.ledger.stats import NOT_SENT, Counts, total
from mailroom_ops.settings import tenants
from mailroom_ops.settings.parameters import Parameters

__all__ = ["by_provider", "by_tenant", "reasons"]

ROWS = 50_000  # read at most for the table of tenants: 25,000 read units, a third of a US cent
LATER = ("rejected", "suppressed")  # the provider took it, and then did not send it
WHY = {
    "skipped": "not sent, on purpose",
    "failed": "could not be sent",
    "unknown": "perhaps sent",
    "rejected": "taken, then refused by the provider",
    "suppressed": "on a list of the provider’s own",
}


@dataclass(frozen=True, slots=True)
class Cell:
    number: str
    share: str
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the mail of one provider, or one tenant; without reports, only how much was sent is known."""

    name: str
    sent: str
    cells: Sequence[Cell]
    stayed: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    what: str
    about: str
    why: str
    number: str
    href: str


def by_provider(whole: Counts) -> list[Row]:
    """Return a row for each provider, worst first."""
    counted = {name: _only(whole, name) for name in whole.providers}
    return [_row(name, counted[name]) for name in sorted(counted, key=lambda name: _rank(counted[name]))]


def by_tenant(context: PageContext, period: Period, tenant: str, since: str) -> dict[str, object]:
    """Return a row for each tenant, worst first, for as far back as may be read for all of them."""
    nothing: dict[str, object] = {"names": [], "tenants": [], "tenants_hours": 0, "left_out": 0, "refusal": ""}
    try:
        names = _names(context)
    except OperatorError as problem:
        return nothing | {"refusal": f"{problem.sentence} {problem.todo}".strip()}
    if tenant:
        return nothing | {"names": names}
    shown = names[: max(1, ROWS // context.queries.shards)]
    hours = min(len(period.hours), max(1, ROWS // (len(shown) * context.queries.shards)))
    asked = [hour.hour for hour in period.hours[-hours:]]
    now = datetime.now(UTC)
    read = context.hours.read_each(context.queries, asked[0], now, shown)
    counted = {name: total(hours_of_one) for name, hours_of_one in read.items()}
    active = sorted((name for name in shown if counted[name].counts), key=lambda name: _rank(counted[name]))
    rows = [_row(name, counted[name], _query(name, since)) for name in active]
    cut = 0 if hours == len(period.hours) else hours
    return nothing | {"names": names, "tenants": rows, "tenants_hours": cut, "left_out": len(names) - len(shown)}


def reasons(whole: Counts, tenant: str, since: str) -> Iterator[Reason]:
    found = [(number, what, why) for (what, why), number in whole.counts.items() if what in WHY and number]
    for number, what, why in sorted(found, key=lambda one: (-one[0], one[1:])):
        status = "failed" if what in LATER else what
        query = {"since": "all" if since == "month" else since, "status": status}
        query |= {"tenant": tenant} if tenant else {}
        said = f"through {why}" if why in whole.providers else why.replace("_", " ") or "no reason given"
        yield Reason(what, WHY[what], said, f"{number:,}", f"/console/deliveries?{urlencode(query)}")


def _row(name: str, counts: Counts, href: str = "") -> Row:
    cells = []
    for what in ("delivered", "deferred", "bounced", "complained") if counts.reporting else ():
        share = counts.rate(what, *counts.reporting)
        cells.append(Cell(f"{counts.of(what):,}", "" if share is None else percent(share), counts.is_over(what)))
    return Row(name, f"{counts.of('sent'):,}", cells, f"{sum(map(counts.of, (*NOT_SENT, *LATER))):,}", href)


def _only(counts: Counts, provider: str) -> Counts:
    return Counts(counts.hour, type(counts.counts)({key: n for key, n in counts.counts.items() if key[1] == provider}))


def _names(context: PageContext) -> list[str]:
    store = Parameters(context.environment)
    known = tenants.all_of({**store.values("senders"), **store.values("brands")})
    return sorted({tenants.DEFAULT, *(one.name for one in known)})


def _rank(counts: Counts) -> tuple[float, int]:
    return -counts.risk, -counts.of("sent")


def _query(tenant: str, since: str) -> str:
    return f"/console/deliverability?{urlencode({'tenant': tenant, 'since': since})}"
