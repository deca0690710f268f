"""Health of each provider at each group of receiving domains: deliveries, bounces, and the time to the inbox.

Counters in the tallies: `sent@gmail/resend`, `deferred@…`, `bounced@…`, and for each delivery `delivered<10@…`: within
10 seconds after the provider accepted the mail, and not within the next lower number. A tenant's own domains
(`sent@acme.example/resend`) are groups in its own tallies; in those of all tenants they are part of `other`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom.ledger.tally import Tally
from mailroom.model.domain_groups import group_of
from mailroom.model.event import Event, EventType
from mailroom.model.message import Message
from mailroom.model.record import Record

__all__ = ["BUCKETS_SECONDS", "Health", "count_report", "count_sent", "read_health"]

BUCKETS_SECONDS = (2, 5, 10, 20, 60, 300, 1800)
LONGER = "inf"
COUNTED_EVENTS = (EventType.DEFERRED, EventType.BOUNCED)


def count_sent(tally: Tally, message: Message, account: str, own_domain: str = "") -> None:
    """Count a mail that an account has accepted. `own_domain` is the tenant's own group of its recipient, if any."""
    _count(tally, message.tenant, "sent", own_domain, group_of(message.to), account)


def count_report(tally: Tally, event: Event, record: Record) -> None:
    """Count a provider's event, the first of its kind about a mail, for the account that sent the mail."""
    same = [entry for entry in record.timeline if (entry.event, entry.provider) == (event.type, event.provider)]
    if len(same) > 1:
        return
    acceptance = record.acceptance_by(event.provider)
    group, account = group_of(record.to), acceptance.provider if acceptance else record.provider or event.provider
    if event.type is EventType.DELIVERED:
        seconds = record.seconds_to_inbox(event.provider, event.at)
        bucket = next((limit for limit in BUCKETS_SECONDS if seconds <= limit), LONGER)
        _count(tally, record.tenant, f"delivered<{bucket}", record.domain_group, group, account)
    elif event.type in COUNTED_EVENTS:
        _count(tally, record.tenant, event.type, record.domain_group, group, account)


def _count(tally: Tally, tenant: str, counter: str, own_domain: str, group: str, account: str) -> None:
    tally.count(tenant, f"{counter}@{own_domain or group}", account, of_everyone=f"{counter}@{group}")


@dataclass(slots=True)
class Health:
    """The counts of one account at one domain group. `within`: deliveries by the upper limit of their seconds."""

    sent: int = 0
    deferred: int = 0
    bounced: int = 0
    within: dict[float, int] = field(default_factory=dict)

    @property
    def delivered(self) -> int:
        return sum(self.within.values())

    def percentile(self, share: float) -> float | None:
        """Return a time within which this share of the delivered mail arrived; None without deliveries."""
        rank = 0
        for limit, number in sorted(self.within.items()):
            rank += number
            if rank >= share * self.delivered:
                return limit
        return None

    def delivered_within(self, seconds: float) -> float:
        """Return the share of the sent mail that is known to have been delivered within so many seconds."""
        number = sum(number for limit, number in self.within.items() if limit <= seconds)
        return number / self.sent if self.sent else 0.0


def read_health(counters: Mapping[str, float]) -> dict[tuple[str, str], Health]:
    """Return the health by account and domain group, from the counters of tallies."""
    health: dict[tuple[str, str], Health] = {}
    for name, number in counters.items():
        status, _, account = name.partition("/")
        event, separator, group = status.partition("@")
        if not separator:
            continue
        entry = health.setdefault((account, group), Health())
        event, _, limit = event.partition("<")
        if limit:
            entry.within[float(limit)] = entry.within.get(float(limit), 0) + int(number)
        elif event in ("sent", *COUNTED_EVENTS):
            setattr(entry, event, getattr(entry, event) + int(number))
    return health
