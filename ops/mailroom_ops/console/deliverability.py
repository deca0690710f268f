"""Deliverability: how much was sent over a time and what became of it, by provider and by tenant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from mailroom.kinds import NAME
from mailroom_ops import tenants
from mailroom_ops.console.charts import Chart, Mark, Name, Scale, Tick, lines, slots, stack
from mailroom_ops.console.desk import Desk, fields
from mailroom_ops.console.server import Request, Response
from mailroom_ops.parameters import Parameters
from mailroom_ops.problem import BadInput, Problem
from mailroom_ops.stats import LIMITS, STAYED, Counts, Limit, total

__all__ = ["answer"]

ROWS = 50_000  # read at most for the table of tenants: 25,000 read units, a third of a US cent
WORTH_SAYING = 0.1  # a change by a tenth, of what was or of what is put up with, is better or worse
SERIES = 5  # providers with a look of their own
REST, STAYED_LOOK = "s6", "s0"
LATER = ("rejected", "suppressed")  # the provider took it, and then did not send it
WHY = {
    "skipped": "not sent, on purpose",
    "failed": "could not be sent",
    "unknown": "perhaps sent",
    "rejected": "taken, then refused by the provider",
    "suppressed": "on a list of the provider’s own",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is looked at, in steps of so many hours."""

    name: str
    steps: int
    hours: int
    shares: int  # hours that a share is of, at least
    rare: int  # and where it is of one mail in a thousand

    def begins(self, now: datetime) -> datetime:
        """Return when it begins: its last step, which is not over, is that of `now`."""
        size = self.hours * 3600
        last = now.timestamp() // size * size
        return datetime.fromtimestamp(last - (self.steps - 1) * size, UTC)

    def label(self, start: datetime) -> str:
        if self.hours == 24:
            return f"{start:%a} {start.day} {start:%b}"
        end = start + timedelta(hours=self.hours)
        return f"{start:%a} {start.day}, {start:%H}–{end:%H}:00"

    def ticks(self, starts: Sequence[datetime]) -> Iterator[Tick]:
        width = 100 / len(starts)
        for index, start in enumerate(starts):
            from_end = len(starts) - 1 - index
            if self.hours == 24 and from_end % 7 == 0:
                yield Tick((index + 0.5) * width, f"{start.day} {start:%b}", from_end % 14 == 7)
            elif self.hours == 6 and start.hour == 0 and from_end >= 3:
                yield Tick((index + 2) * width, f"{start:%a} {start.day}", start.day % 2 == 0)
            elif self.hours == 1 and start.hour % 6 == 0:
                yield Tick((index + 0.5) * width, f"{start:%H:%M}" if start.hour else f"{start:%a} {start.day}")


SPANS = {
    "day": Span("24 hours", 24, 1, 6, 24),
    "week": Span("7 days", 28, 6, 24, 72),
    "month": Span("30 days", 30, 24, 24, 7 * 24),
}


def answer(desk: Desk, request: Request, below: list[str]) -> Response | None:
    if below or request.method == "POST":
        return None
    tenant, since = (fields(request).get(name, [""])[-1].strip() for name in ("tenant", "since"))
    if tenant and not NAME.fullmatch(tenant):
        raise BadInput("That is no name of a tenant.", "A name is lower-case letters, digits and hyphens.")
    if since and since not in SPANS:
        raise BadInput(f"There is no time {since!r}.", f"There are {', '.join(SPANS)}.")
    return _page(desk, tenant, since or "day")


@dataclass(frozen=True, slots=True)
class Series:
    """One provider, or the rest of them together."""

    name: str
    look: str
    providers: tuple[str, ...]

    def sent(self, counts: Counts) -> int:
        return sum(counts.of("sent", provider) for provider in self.providers)


@dataclass(frozen=True, slots=True)
class Period:
    """A span's hours, and as many before them."""

    span: Span
    hours: Sequence[Counts]
    before: Sequence[Counts]

    @property
    def starts(self) -> list[datetime]:
        return [hour.hour for hour in self.hours[:: self.span.hours]]

    @property
    def steps(self) -> list[Counts]:
        size = self.span.hours
        return [total(self.hours[at : at + size]) for at in range(0, len(self.hours), size)]

    @property
    def labels(self) -> list[str]:
        said = [self.span.label(start) for start in self.starts]
        return [*said[:-1], f"{said[-1]}, so far"]

    def trailing(self, hours: int) -> list[Counts]:
        """Return, for each step, what was counted in so many hours up to its end."""
        every = [*self.before, *self.hours]
        ends = [min(len(every), len(self.before) + (n + 1) * self.span.hours) for n in range(len(self.starts))]
        return [total(every[max(0, end - hours) : end]) for end in ends]


def _page(desk: Desk, tenant: str, since: str) -> Response:
    span, now = SPANS[since], datetime.now(UTC)
    begins = span.begins(now)
    number = int((now - begins) / timedelta(hours=1)) + 1
    every = desk.hours.read(desk.queries, begins - number * timedelta(hours=1), now, tenant)
    period = Period(span, every[number:], every[:number])
    whole = total(period.hours)
    series = list(_series(whole))
    silent = [name for name in whole.providers if name not in whole.reporting]
    values = {
        "tenant": tenant,
        "since": since,
        "spans": {key: one.name for key, one in SPANS.items()},
        "span": span.name,
        "begins": begins,
        "whole": whole,
        "figures": list(_figures(whole, total(period.before))),
        "charts": list(_charts(period, series)) if whole.counts else [],
        "providers": [(_row(name, _only(whole, name)), "") for name in sorted(whole.providers, key=_worst(whole))],
        "silent": silent,
        "reasons": list(_reasons(whole, tenant, since)),
        "limits": LIMITS,
    }
    return desk.page("deliverability", values | _tenants(desk, period, tenant, since))


def _series(whole: Counts) -> Iterator[Series]:
    """Yield those who sent most, each with a look of its own, and the rest as one."""
    names = sorted(whole.providers, key=lambda name: -whole.of("sent", name))
    own = names if len(names) <= SERIES + 1 else names[:SERIES]
    for number, name in enumerate(own, 1):
        yield Series(name, f"s{number}", (name,))
    if rest := tuple(names[len(own) :]):
        yield Series(f"{len(rest)} others", REST, rest)


# ---- figures ----


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, how it has changed, and whether that is better or worse."""

    name: str
    value: str
    change: str
    tone: str = ""
    is_over: bool = False


def _figures(whole: Counts, before: Counts) -> Iterator[Figure]:
    yield _number("sent", whole.of("sent"), before.of("sent"))
    for what in ("delivered", "bounced", "complained"):
        now, was = whole.rate(what, *whole.reporting), before.rate(what, *before.reporting)
        if not whole.reporting or now is None:
            yield Figure(what, "–", "nothing reported")
            continue
        is_over = whole.is_over(what)
        if was is None:
            yield Figure(what, percent(now), "nothing before", is_over=is_over)
            continue
        points = round((now - was) * 100, 2)
        change = f"{points:+.2f} points".replace("-", "−") if points else "as before"
        matters = LIMITS.get(what, LIMITS["bounced"]).share * 100 * WORTH_SAYING
        tone = _tone(points, good=what == "delivered") if abs(points) >= matters else ""
        yield Figure(what, percent(now), change, tone, is_over)
    for what in STAYED:
        yield _number(what, whole.of(what), before.of(what), good=False)


def _number(name: str, now: int, was: int, *, good: bool | None = None) -> Figure:
    if now == was or (was and abs(now - was) / was < 0.005):
        return Figure(name, f"{now:,}", "as before" if now else "none before either")
    if not was:
        return Figure(name, f"{now:,}", "none before", _tone(now, good=good))
    change = (now - was) / was
    said = f"{now / was:.0f} times" if change > 9 else f"{change:+.0%}".replace("-", "−").replace("%", " %")
    return Figure(name, f"{now:,}", said, _tone(change, good=good) if abs(change) >= WORTH_SAYING else "")


def _tone(change: float, *, good: bool | None) -> str:
    if good is None or not change:
        return ""
    return "better" if (change > 0) == good else "worse"


def percent(share: float) -> str:
    """Write a share as precisely as it matters."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{share * 100:.2f} %" if share < 0.01 else f"{share * 100:.1f} %"


# ---- charts ----


def _charts(period: Period, series: Sequence[Series]) -> Iterator[Chart]:
    yield _volume(period, series)
    reporting = total(period.hours).reporting
    heard = [one for one in series if set(one.providers) & set(reporting)]
    usual = LIMITS["bounced"]
    for what, limit in (("delivered", None), *LIMITS.items()):
        yield _shares(period, heard, what, limit or usual, limit)


def _volume(period: Period, series: Sequence[Series]) -> Chart:
    steps, labels = period.steps, period.labels
    values = [[*(one.sent(step) for one in series), sum(map(step.of, STAYED))] for step in steps]
    has_stayed = any(parts[-1] for parts in values)
    names = [Name(one.name, one.look) for one in series] + [Name("not sent", STAYED_LOOK)] * has_stayed
    values = values if has_stayed else [parts[:-1] for parts in values]
    scale = Scale.over(max(map(sum, values)), whole=True)
    rows = [(label, [f"{number:,}" for number in parts]) for label, parts in zip(labels, values, strict=True)]
    most = max(range(len(values)), key=lambda index: sum(values[index]))
    each = {1: "an hour", 6: "in six hours", 24: "a day"}[period.span.hours]
    peak = f"The most were {sum(values[most]):,}: {labels[most]} (UTC)."
    return Chart(
        "volume",
        f"Mails {each}",
        f"Mails {each}, by provider, over {period.span.name}. {peak}",
        names,
        [Tick(scale.y(tick), f"{tick:,.0f}") for tick in scale.ticks],
        list(period.span.ticks(period.starts)),
        rows,
        slots([_said(label, names, texts) for label, texts in rows]),
        stack(values, [name.look for name in names], scale),
    )


def _shares(period: Period, series: Sequence[Series], what: str, window: Limit, limit: Limit | None) -> Chart:
    """Draw what share was `what`, over as many hours as the alarm looks at, or more; too few mails tell nothing."""
    hours = max(window.hours, period.span.rare if what == "complained" else period.span.shares)
    trailing = period.trailing(hours)
    values = [[_share(counts, one, what, window.least) for counts in trailing] for one in series]
    found = [share for shares in values for share in shares if share is not None]
    scale = Scale.over(max([*found, limit.share * 1.1])) if limit else Scale.over(1, least=min([*found, 0.95]), end=1)
    names = lines([one.name for one in series], [one.look for one in series], values, scale)
    drawn = {name.text for name in names}
    columns = [shares for one, shares in zip(series, values, strict=True) if one.name in drawn]
    rows = [
        (label, ["–" if shares[at] is None else percent(shares[at] or 0) for shares in columns])
        for at, label in enumerate(period.labels)
    ]
    ends = "; ".join(_extremes(name, shares, best=limit is None) for name, shares in zip(names, columns, strict=True))
    line = f" Providers look closer at {percent(limit.share)}." if limit else ""
    missing = ", ".join(one.name for one in series if one.name not in drawn)
    few = f"{missing}: under {window.least:,} mails in {hours} hours, too few for a share." if missing else ""
    return Chart(
        what,
        f"{what.title()}, of what was sent in {_time(hours)}",
        f"{what.title()} mails as a share of those sent, over the {_time(hours)} before each moment. {ends}.{line}",
        names,
        [Tick(scale.y(tick), f"{tick * 100:.12g} %") for tick in scale.ticks],
        list(period.span.ticks(period.starts)),
        rows,
        slots([_said(label, names, texts) for label, texts in rows]) if names else [],
        limit=Mark(scale.y(limit.share), f"limit {limit.share * 100:g} %") if limit else None,
        left_out=few if series else "No provider has reported anything.",
    )


def _time(hours: int) -> str:
    return f"{hours // 24} days" if hours > 24 else f"{hours} hours"


def _share(counts: Counts, series: Series, what: str, least: int) -> float | None:
    if series.sent(counts) < least:
        return None
    share = counts.rate(what, *series.providers)
    # What is reported of an earlier hour's mails makes it more than all.
    return None if share is None else min(share, 1.0)


def _extremes(name: Name, shares: Sequence[float | None], *, best: bool) -> str:
    known = [share for share in shares if share is not None]
    extreme = min(known) if best else max(known)
    return f"{name.text}: {percent(known[-1])} at last, {percent(extreme)} at {'least' if best else 'most'}"


def _said(label: str, names: Sequence[Name], texts: Sequence[str]) -> str:
    parts = (f"{name.text} {text}" for name, text in zip(names, texts, strict=True))
    return "\n".join((label, *parts))


# ---- tables ----


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


def _row(name: str, counts: Counts) -> Row:
    cells = []
    for what in ("delivered", "deferred", "bounced", "complained") if counts.reporting else ():
        share = counts.rate(what, *counts.reporting)
        cells.append(Cell(f"{counts.of(what):,}", "" if share is None else percent(share), counts.is_over(what)))
    return Row(name, f"{counts.of('sent'):,}", cells, f"{sum(map(counts.of, (*STAYED, *LATER))):,}")


def _only(counts: Counts, provider: str) -> Counts:
    return Counts(counts.hour, type(counts.counts)({key: n for key, n in counts.counts.items() if key[1] == provider}))


def _worst(whole: Counts) -> Callable[[str], tuple[float, int]]:
    return lambda name: (-_only(whole, name).risk, -whole.of("sent", name))


@dataclass(frozen=True, slots=True)
class Reason:
    what: str
    about: str
    why: str
    number: str
    href: str


def _reasons(whole: Counts, tenant: str, since: str) -> Iterator[Reason]:
    found = [(number, what, why) for (what, why), number in whole.counts.items() if what in WHY and number]
    for number, what, why in sorted(found, key=lambda one: (-one[0], one[1:])):
        status = "failed" if what in LATER else what
        query = {"since": "all" if since == "month" else since, "status": status}
        query |= {"tenant": tenant} if tenant else {}
        said = f"through {why}" if why in whole.providers else why.replace("_", " ") or "no reason given"
        yield Reason(what, WHY[what], said, f"{number:,}", f"/console/deliveries?{urlencode(query)}")


def _tenants(desk: Desk, period: Period, tenant: str, since: str) -> dict[str, object]:
    """Return a row for each tenant, worst first, for as far back as may be read for all of them."""
    nothing: dict[str, object] = {"names": [], "tenants": [], "tenants_hours": 0, "left_out": 0, "refusal": ""}
    try:
        names = _names(desk)
    except Problem as problem:
        return nothing | {"refusal": f"{problem.sentence} {problem.todo}".strip()}
    if tenant:
        return nothing | {"names": names}
    shown = names[: max(1, ROWS // desk.queries.shards)]
    hours = min(len(period.hours), max(1, ROWS // (len(shown) * desk.queries.shards)))
    asked = [hour.hour for hour in period.hours[-hours:]]
    now = datetime.now(UTC)
    read = desk.hours.read_each(desk.queries, asked[0], now, shown)
    counted = {name: total(hours_of_one) for name, hours_of_one in read.items()}
    active = sorted((name for name in shown if counted[name].counts), key=lambda name: _rank(counted[name]))
    rows = [(_row(name, counted[name]), _query(name, since)) for name in active]
    cut = 0 if hours == len(period.hours) else hours
    return nothing | {"names": names, "tenants": rows, "tenants_hours": cut, "left_out": len(names) - len(shown)}


def _names(desk: Desk) -> list[str]:
    store = Parameters(desk.environment)
    known = tenants.all_of({**store.values("senders"), **store.values("brands")})
    return sorted({tenants.DEFAULT, *(one.name for one in known)})


def _rank(counts: Counts) -> tuple[float, int]:
    return -counts.risk, -counts.of("sent")


def _query(tenant: str, since: str) -> str:
    return f"/console/deliverability?{urlencode({'tenant': tenant, 'since': since})}"
