"""The charts: how many emails were sent, and what share was delivered, bounced or complained about, by provider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailroom_ops.console.charts import Chart, Limit, Scale, Series, Tick, hover_areas, lines, stack
from mailroom_ops.console.deliverability.figures import percent
from mailroom_ops.console.deliverability.period import Period
from mailroom_ops.ledger import stats
from mailroom_ops.ledger.stats import LIMITS, NOT_SENT, Counts

__all__ = ["trends"]

MAX_SERIES = 5  # providers with a style of their own
OTHERS_STYLE, NOT_SENT_STYLE = "s6", "s0"


@dataclass(frozen=True, slots=True)
class Group:
    """One provider with a style of its own, or all the smaller ones together."""

    name: str
    style: str
    providers: tuple[str, ...]

    def sent(self, counts: Counts) -> int:
        return sum(counts.of("sent", provider) for provider in self.providers)


def trends(period: Period, whole: Counts) -> Iterator[Chart]:
    """Yield the chart of the volume, and one for each share."""
    groups, period = list(_groups(whole)), period.charted
    yield _volume(period, groups)
    reporting = [group for group in groups if set(group.providers) & set(whole.reporting)]
    for outcome, limit in (("delivered", None), *LIMITS.items()):
        yield _shares(period, reporting, outcome, limit or LIMITS["bounced"], limit)


def _groups(whole: Counts) -> Iterator[Group]:
    """Yield the providers with most emails, and the others as one group."""
    sending = [name for name in whole.providers if whole.of("sent", name)]
    names = sorted(sending, key=lambda name: -whole.of("sent", name))
    largest = names if len(names) <= MAX_SERIES + 1 else names[:MAX_SERIES]
    for number, name in enumerate(largest, 1):
        yield Group(name, f"s{number}", (name,))
    if others := tuple(names[len(largest) :]):
        yield Group(f"{len(others)} others", OTHERS_STYLE, others)


def _volume(period: Period, groups: Sequence[Group]) -> Chart:
    steps, labels = period.steps, period.labels
    values = [[*(group.sent(step) for group in groups), sum(map(step.of, NOT_SENT))] for step in steps]
    has_not_sent = any(parts[-1] for parts in values)
    series = [Series(group.name, group.style) for group in groups]
    series += [Series("not sent", NOT_SENT_STYLE)] * has_not_sent
    values = values if has_not_sent else [parts[:-1] for parts in values]
    scale = Scale.over(max(map(sum, values)), whole=True)
    rows = [(label, [f"{number:,}" for number in parts]) for label, parts in zip(labels, values, strict=True)]
    peak = max(range(len(values)), key=lambda index: sum(values[index]))
    unit = {1: "hour", 6: "six hours", 24: "day"}[period.span.hours]
    return Chart(
        "volume",
        f"Emails per {unit}",
        f"Emails per {unit} by provider, over {period.span.name}. Peak: {sum(values[peak]):,}, {labels[peak]} (UTC).",
        series,
        [Tick(scale.y(tick), f"{tick:,.0f}") for tick in scale.ticks],
        period.ticks,
        rows,
        hover_areas([_tooltip(label, series, texts) for label, texts in rows], len(rows) + period.padding),
        stack([*values, *[[0] * len(series)] * period.padding], [entry.style for entry in series], scale),
    )


def _shares(
    period: Period, groups: Sequence[Group], outcome: str, window: stats.Limit, limit: stats.Limit | None
) -> Chart:
    """Return the chart of a share over at least the hours of the alarm; too few emails give no share."""
    span = period.span
    hours = max(window.hours, span.rare_share_hours if outcome == "complained" else span.share_hours)
    trailing = period.trailing(hours)
    values = [[_share(counts, group, outcome, window.min_sent) for counts in trailing] for group in groups]
    shares = [share for group_shares in values for share in group_shares if share is not None]
    scale = Scale.over(max([*shares, limit.share * 1.1])) if limit else Scale.over(1, least=min([*shares, 0.95]), end=1)
    points = [[*group_shares, *[None] * period.padding] for group_shares in values]
    series = lines([group.name for group in groups], [group.style for group in groups], points, scale)
    drawn = {line.text for line in series}
    columns = [group_shares for group, group_shares in zip(groups, values, strict=True) if group.name in drawn]
    rows = [
        (label, ["–" if column[index] is None else percent(column[index] or 0) for column in columns])
        for index, label in enumerate(period.labels)
    ]
    extremes = [_extremes(line, column, lowest=limit is None) for line, column in zip(series, columns, strict=True)]
    summary = f" {'; '.join(extremes)}." if extremes else ""
    limit_text = f" Providers review accounts from {percent(limit.share)} on." if limit else ""
    missing = ", ".join(group.name for group in groups if group.name not in drawn)
    note = f"{missing}: under {window.min_sent:,} emails in {hours} hours, too few for a share." if missing else ""
    return Chart(
        outcome,
        f"{outcome.title()}, share of emails sent in {_duration(hours)}",
        f"{outcome.title()} emails as a share of those sent in the preceding {_duration(hours)}.{summary}{limit_text}",
        series,
        [Tick(scale.y(tick), f"{tick * 100:.12g} %") for tick in scale.ticks],
        period.ticks,
        rows,
        hover_areas([_tooltip(label, series, texts) for label, texts in rows], len(rows) + period.padding),
        limit=Limit(scale.y(limit.share), f"limit {limit.share * 100:g} %") if limit else None,
        note=note if groups else "No provider has sent any reports.",
    )


def _duration(hours: int) -> str:
    return f"{hours // 24} days" if hours > 24 else f"{hours} hours"


def _share(counts: Counts, group: Group, outcome: str, least: int) -> float | None:
    if group.sent(counts) < least:
        return None
    share = counts.rate(outcome, *group.providers)
    # Reports on emails of earlier hours can make it more than all.
    return None if share is None else min(share, 1.0)


def _extremes(line: Series, shares: Sequence[float | None], *, lowest: bool) -> str:
    values = [share for share in shares if share is not None]
    extreme = f"{percent(min(values))} at worst" if lowest else f"{percent(max(values))} at most"
    return f"{line.text}: {percent(values[-1])} now, {extreme}"


def _tooltip(label: str, series: Sequence[Series], texts: Sequence[str]) -> str:
    parts = (f"{entry.text} {text}" for entry, text in zip(series, texts, strict=True))
    return "\n".join((label, *parts))
