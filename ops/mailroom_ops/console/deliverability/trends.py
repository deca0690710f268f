"""The charts: how many mails, and what share of them arrived, came back or was complained of, by provider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailroom_ops.console.charts import Chart, Mark, Name, Scale, Tick, lines, slots, stack
from mailroom_ops.console.deliverability.figures import percent
from mailroom_ops.console.deliverability.period import Period
from mailroom_ops.ledger.stats import LIMITS, NOT_SENT, Counts, Limit

__all__ = ["trends"]

SERIES = 5  # providers with a look of their own
REST, STAYED_LOOK = "s6", "s0"


@dataclass(frozen=True, slots=True)
class Series:
    """One provider, or the rest of them together."""

    name: str
    look: str
    providers: tuple[str, ...]

    def sent(self, counts: Counts) -> int:
        return sum(counts.of("sent", provider) for provider in self.providers)


def trends(period: Period, whole: Counts) -> Iterator[Chart]:
    series = list(_series(whole))
    yield _volume(period, series)
    heard = [one for one in series if set(one.providers) & set(whole.reporting)]
    usual = LIMITS["bounced"]
    for what, limit in (("delivered", None), *LIMITS.items()):
        yield _shares(period, heard, what, limit or usual, limit)


def _series(whole: Counts) -> Iterator[Series]:
    """Yield those who sent most, each with a look of its own, and the rest as one."""
    names = sorted(whole.providers, key=lambda name: -whole.of("sent", name))
    own = names if len(names) <= SERIES + 1 else names[:SERIES]
    for number, name in enumerate(own, 1):
        yield Series(name, f"s{number}", (name,))
    if rest := tuple(names[len(own) :]):
        yield Series(f"{len(rest)} others", REST, rest)


def _volume(period: Period, series: Sequence[Series]) -> Chart:
    steps, labels = period.steps, period.labels
    values = [[*(one.sent(step) for one in series), sum(map(step.of, NOT_SENT))] for step in steps]
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
    values = [[_share(counts, one, what, window.min_sent) for counts in trailing] for one in series]
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
    few = f"{missing}: under {window.min_sent:,} mails in {hours} hours, too few for a share." if missing else ""
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
