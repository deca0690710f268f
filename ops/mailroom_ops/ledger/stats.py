"""How much was sent and what became of it, by hour, from the tallies."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom_ops.ledger.queries import LedgerQueries

__all__ = ["LIMITS", "REPORTED", "STAYED", "Counts", "Hours", "Limit", "stats", "total"]

REPORTED = ("delivered", "deferred", "bounced", "complained")  # of what was sent, by its provider
STAYED = ("skipped", "failed", "unknown")  # what was not sent, or not surely
HOUR = timedelta(hours=1)
# An hour is counted in while it lasts; a process that was about to write when it ended needs a moment more.
SETTLED = timedelta(minutes=5)
MOST_HOURS = 200_000  # held in memory: some 60 MB

Scope = tuple[str, datetime]  # a tenant, or "" for all, and an hour


@dataclass(frozen=True, slots=True)
class Limit:
    """From which share on providers look closer, and our alarm rings: over so many hours, of no fewer than `least`."""

    share: float
    alarm: float
    hours: int
    least: int


# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-messages.html; the alarms are those of template.yaml.
LIMITS: Mapping[str, Limit] = {"bounced": Limit(0.05, 0.04, 6, 100), "complained": Limit(0.001, 0.0008, 24, 1000)}


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in an hour, or in several: by provider for what went out, by reason for what did not."""

    hour: datetime
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, what: str, which: str = "") -> int:
        """Return how many were, say, `sent`: through one provider, or through any."""
        return sum(n for (name, by), n in self.counts.items() if name == what and which in ("", by))

    def split(self, what: str) -> dict[str, int]:
        """Return how many, by provider or reason."""
        return {by: number for (name, by), number in self.counts.most_common() if name == what}

    @property
    def providers(self) -> list[str]:
        return sorted({by for (name, by), _ in self.counts.items() if name == "sent"})

    @property
    def reporting(self) -> list[str]:
        """Those that told of any mail what became of it: some, such as a mail server, never do."""
        return sorted({by for (name, by), number in self.counts.items() if name in REPORTED and number})

    def rate(self, what: str, *providers: str) -> float | None:
        """Return what share of the mails sent through these, or any, has, say, `bounced`; None where none was sent."""
        among = providers or self.providers
        sent = sum(self.of("sent", provider) for provider in among)
        return sum(self.of(what, provider) for provider in among) / sent if sent else None

    def is_over(self, what: str) -> bool:
        """Tell whether more than providers put up with has, say, `bounced`, of enough mails to say so."""
        share, limit = self.rate(what, *self.reporting), LIMITS.get(what)
        if limit is None or share is None:
            return False
        return share >= limit.share and sum(self.of("sent", by) for by in self.reporting) >= limit.least

    @property
    def risk(self) -> float:
        """Return how near this comes to what providers put up with: 1 is there. A few mails do not count as many."""
        among = [(what, limit, self.reporting) for what, limit in LIMITS.items()]
        sent = {what: max(sum(self.of("sent", by) for by in names), limit.least) for what, limit, names in among}
        return max(self.of(what) / (sent[what] * limit.share) for what, limit, _ in among)


def stats(queries: LedgerQueries, since: float, until: float, tenant: str = "") -> Iterator[Counts]:
    """Yield each hour of a time, of a tenant or of all."""
    hours = _hours(datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC))
    yield from _read(queries, [(tenant, hour) for hour in hours]).values()


def total(hours: Sequence[Counts]) -> Counts:
    """Add hours up."""
    counts: Counter[tuple[str, str]] = Counter()
    for hour in hours:
        counts.update(hour.counts)
    return Counts(hours[0].hour, counts)


@dataclass
class Hours:
    """Remembers the hours that are over, which nobody counts in any more; only the newest are read again."""

    _known: dict[Scope, Counts] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, queries: LedgerQueries, since: datetime, until: datetime, tenant: str = "") -> list[Counts]:
        """Return each hour of a time, of a tenant or of all."""
        return self.read_each(queries, since, until, [tenant])[tenant]

    def read_each(
        self, queries: LedgerQueries, since: datetime, until: datetime, tenants: Sequence[str]
    ) -> dict[str, list[Counts]]:
        """Return each hour of a time, of several tenants: what is not known yet is read in one go."""
        hours = _hours(since, until)
        wanted = [(tenant, hour) for tenant in tenants for hour in hours]
        with self._lock:
            found = {one: known for one in wanted if (known := self._known.get(one))}
        found |= _read(queries, [one for one in wanted if one not in found])
        with self._lock:
            if len(self._known) > MOST_HOURS:
                self._known.clear()
            self._known |= {one: found[one] for one in wanted if one[1] + HOUR + SETTLED <= until}
        return {tenant: [found[tenant, hour] for hour in hours] for tenant in tenants}


def _hours(since: datetime, until: datetime) -> list[datetime]:
    first = since.replace(minute=0, second=0, microsecond=0)
    return [first + number * HOUR for number in range(int((until - first) / HOUR) + 1)]


def _read(queries: LedgerQueries, wanted: Sequence[Scope]) -> dict[Scope, Counts]:
    names = {one: (one[0] or EVERYONE, hour_of(one[1].timestamp())) for one in wanted}
    counted = queries.tallies(names.values())
    return {one: Counts(one[1], _counter(counted[name])) for one, name in names.items()}


def _counter(counted: Mapping[str, float]) -> Counter[tuple[str, str]]:
    return Counter({(name.partition("/")[0], name.partition("/")[2]): int(n) for name, n in counted.items()})
