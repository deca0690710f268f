"""How much was sent and what became of it, by hour, from the tallies."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailroom.tally import EVERYONE
from mailroom_ops.ledger_queries import LedgerQueries

__all__ = ["Counts", "stats", "total"]


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

    def rate(self, what: str, provider: str = "") -> float | None:
        """Return what share of the mails that were sent has, say, `bounced`; None where none was sent."""
        sent = self.of("sent", provider)
        return self.of(what, provider) / sent if sent else None


def stats(queries: LedgerQueries, since: float, until: float, tenant: str = "") -> Iterator[Counts]:
    """Yield each hour of a time, of a tenant or of all."""
    for hour, counted in queries.tallies(since, until, tenant or EVERYONE):
        moment = datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC)
        counts = Counter({(name.partition("/")[0], name.partition("/")[2]): int(n) for name, n in counted.items()})
        yield Counts(moment, counts)


def total(hours: list[Counts]) -> Counts:
    """Add hours up."""
    return Counts(hours[0].hour, sum((hour.counts for hour in hours), Counter()))
