"""Statistics by hour, from the tallies: how much mail was sent, and how it ended."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailroom.ledger.domain_health import BUCKETS_SECONDS, Health, read_health
from mailroom.ledger.tally import ATTEMPT, EVERYONE, hour_of
from mailroom.model.domain_groups import GROUPS, OTHER
from mailroom_ops.ledger.queries import LedgerQueries

__all__ = [
    "ASKED_AGAIN",
    "LIMITS",
    "NOT_SENT",
    "NOT_SENT_AFTER_ALL",
    "REPORTED",
    "RESCUED",
    "Counts",
    "HealthRow",
    "HourCache",
    "Limit",
    "health_json",
    "health_rows",
    "stats",
    "total",
]

REPORTED = ("delivered", "deferred", "bounced", "complained")  # of sent mail, by its provider
ASKED_AGAIN = "asked_again"  # codes that went to another provider first, because their predecessor had not arrived
RESCUED = "rescued"  # second copies of codes that their first provider had not delivered
NOT_SENT = ("skipped", "failed", "unknown")  # or not certainly
NOT_SENT_AFTER_ALL = ("rejected", "suppressed")  # accepted by the provider, which then did not send it
PERCENTILES = (0.5, 0.95)
MINUTE_SECONDS = 60
HOUR = timedelta(hours=1)
# A process that counted at the end of an hour may write some time after it.
WRITE_DELAY = timedelta(minutes=5)
MAX_CACHED_HOURS = 200_000  # about 60 MB

Scope = tuple[str, datetime]  # a tenant, or "" for all, and an hour


@dataclass(frozen=True, slots=True)
class Limit:
    """The share at which providers review an account, and that of our alarm, over some hours with enough sent mail."""

    share: float
    alarm: float
    hours: int
    min_sent: int


# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-messages.html; the alarms are those of template.yaml.
LIMITS: Mapping[str, Limit] = {"bounced": Limit(0.05, 0.04, 6, 100), "complained": Limit(0.001, 0.0008, 24, 1000)}


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters of one or several hours, by status and label: a provider, a reason, or both with a slash between."""

    hour: datetime
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, status: str, label: str = "") -> int:
        """Return the number of mails that were, say, `sent`: of one provider or reason, or of any."""
        return sum(
            number
            for (name, by), number in self.counts.items()
            if name == status and (label in ("", by) or label in by.split("/"))
        )

    def split(self, status: str) -> dict[str, int]:
        """Return the number of mails by provider; of a status that has reasons, by reason."""
        has_reasons = status in (*NOT_SENT, *NOT_SENT_AFTER_ALL, ATTEMPT)
        numbers: Counter[str] = Counter()
        for (name, by), number in self.counts.items():
            if name == status:
                # Until December 2026, a label was the provider alone where there was one.
                numbers["" if has_reasons and by in self.providers else by.rpartition("/")[2]] += number
        return {label: number for label, number in numbers.most_common() if number}

    def failed_attempts(self, provider: str = "") -> int:
        """Return the number of attempts that brought no acceptance, at one provider or at any."""
        return self.of(ATTEMPT, provider)

    @property
    def providers(self) -> list[str]:
        """The providers that accepted or refused mail."""
        sent = {by for (name, by), _ in self.counts.items() if name == "sent"}
        return sorted(sent | {by.partition("/")[0] for (name, by), _ in self.counts.items() if name == ATTEMPT})

    @property
    def reporting(self) -> list[str]:
        """The providers that reported events at all; some, such as a mail server, never do."""
        return sorted({by for (name, by), number in self.counts.items() if name in REPORTED and number})

    def rate(self, status: str, *providers: str) -> float | None:
        """Return the share of sent mail that, say, `bounced`, of these providers or of all; None without sent mail."""
        among = providers or self.providers
        sent = sum(self.of("sent", provider) for provider in among)
        return sum(self.of(status, provider) for provider in among) / sent if sent else None

    @property
    def health(self) -> dict[tuple[str, str], Health]:
        """The health by provider and domain group."""
        return read_health({f"{status}/{by}": number for (status, by), number in self.counts.items()})

    def is_over(self, status: str) -> bool:
        """Return whether the share that, say, `bounced` exceeds the limit at a provider, with enough mail to tell."""
        return self._exceeds(status, LIMITS[status].share) if status in LIMITS else False

    def rings(self, status: str) -> bool:
        """Return whether the share that, say, `bounced` is that of the alarm, with enough mail to tell."""
        return self._exceeds(status, LIMITS[status].alarm)

    def _exceeds(self, status: str, share: float) -> bool:
        """Compare the share of each provider separately: each reviews its own account."""
        return any(
            self.of("sent", provider) >= LIMITS[status].min_sent and (self.rate(status, provider) or 0) >= share
            for provider in self.reporting
        )

    @property
    def risk(self) -> float:
        """The highest share in units of its limit: 1 is at the limit. A little mail counts as `min_sent`."""
        return max(
            self.of(status) / (max(self._reportable, limit.min_sent) * limit.share) for status, limit in LIMITS.items()
        )

    @property
    def _reportable(self) -> int:
        return sum(self.of("sent", provider) for provider in self.reporting)


def stats(queries: LedgerQueries, since: float, until: float, tenant: str = "") -> Iterator[Counts]:
    """Yield the counters of each hour of a period, of one tenant or of all."""
    hours = _hours(datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC))
    yield from _read(queries, [(tenant, hour) for hour in hours]).values()


@dataclass(frozen=True, slots=True)
class HealthRow:
    """The health of one provider at one domain group, as text."""

    provider: str
    group: str
    sent: str
    delivered: str
    deferred: str
    bounced: str
    half_within: str
    most_within: str

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


def health_rows(health: Mapping[tuple[str, str], Health]) -> list[HealthRow]:
    """Return the rows of a table by provider and domain group: in the order of GROUPS, own domains before `other`."""
    places = {group: place for place, group in enumerate(GROUPS)} | {OTHER: len(GROUPS)}
    order = sorted(health, key=lambda key: (key[0], places.get(key[1], places[OTHER] - 1), key[1]))
    return [_health_row(provider, group, health[provider, group]) for provider, group in order]


def health_json(health: Mapping[tuple[str, str], Health]) -> list[dict[str, str | float | None]]:
    """Return the same as numbers; a time is an upper limit in seconds, null above the longest one that is counted."""
    return [
        {
            "provider": provider,
            "to": group,
            "sent": entry.sent,
            "delivered": entry.delivered,
            "deferred": entry.deferred,
            "bounced": entry.bounced,
            **{f"p{part:.0%}".rstrip("%"): _finite(entry.percentile(part)) for part in PERCENTILES},
        }
        for (provider, group), entry in sorted(health.items())
    ]


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds != float("inf") else None


def _health_row(provider: str, group: str, health: Health) -> HealthRow:
    def share(number: int) -> str:
        return f"{number} ({number / health.sent:.1%})" if number and health.sent else str(number)

    times = [_duration(health.percentile(part)) for part in PERCENTILES]
    counts = [share(number) for number in (health.delivered, health.deferred, health.bounced)]
    return HealthRow(provider, group, str(health.sent), *counts, *times)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds == float("inf"):
        return f"over {_duration(BUCKETS_SECONDS[-1])}"
    return f"{seconds:.0f} s" if seconds < MINUTE_SECONDS else f"{seconds / MINUTE_SECONDS:.0f} min"


def total(hours: Sequence[Counts]) -> Counts:
    """Return the sum of some hours."""
    counts: Counter[tuple[str, str]] = Counter()
    for hour in hours:
        counts.update(hour.counts)
    return Counts(hours[0].hour, counts)


@dataclass
class HourCache:
    """Reads hours, and caches those that are over and no longer change."""

    _cached: dict[Scope, Counts] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def forget(self) -> None:
        """Read every hour again: a replay changes the counters of past ones."""
        with self._lock:
            self._cached.clear()

    def read(self, queries: LedgerQueries, since: datetime, until: datetime, tenant: str = "") -> list[Counts]:
        """Return each hour of a period, of one tenant or of all."""
        return self.read_each(queries, since, until, [tenant])[tenant]

    def read_each(
        self, queries: LedgerQueries, since: datetime, until: datetime, tenants: Sequence[str]
    ) -> dict[str, list[Counts]]:
        """Return each hour of a period, of several tenants; those that are not cached are read concurrently."""
        hours = _hours(since, until)
        scopes = [(tenant, hour) for tenant in tenants for hour in hours]
        with self._lock:
            counts = {scope: cached for scope in scopes if (cached := self._cached.get(scope))}
        counts |= _read(queries, [scope for scope in scopes if scope not in counts])
        with self._lock:
            if len(self._cached) > MAX_CACHED_HOURS:
                self._cached.clear()
            self._cached |= {scope: counts[scope] for scope in scopes if scope[1] + HOUR + WRITE_DELAY <= until}
        return {tenant: [counts[tenant, hour] for hour in hours] for tenant in tenants}


def _hours(since: datetime, until: datetime) -> list[datetime]:
    first = since.replace(minute=0, second=0, microsecond=0)
    return [first + number * HOUR for number in range(int((until - first) / HOUR) + 1)]


def _read(queries: LedgerQueries, scopes: Sequence[Scope]) -> dict[Scope, Counts]:
    keys = {(tenant, hour): (tenant or EVERYONE, hour_of(hour.timestamp())) for tenant, hour in scopes}
    tallies = queries.tallies(keys.values())
    return {scope: Counts(scope[1], _counter(tallies[key])) for scope, key in keys.items()}


def _counter(tally: Mapping[str, float]) -> Counter[tuple[str, str]]:
    return Counter({(name.partition("/")[0], name.partition("/")[2]): int(number) for name, number in tally.items()})
