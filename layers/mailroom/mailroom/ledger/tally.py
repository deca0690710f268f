"""Hourly counters in the ledger, so that a chart needs no scan of all messages.

tally#{scope}#{YYYYMMDDHH}#{shard}   scope: a tenant, or *. Counters by name:
  sent/resend          mails by the account that accepted them
  failed/resend/quota  mails with another outcome, by account and reason; without an account, failed/holding_back
  bounced/resend       reports by account; of mail that was not sent after all, also by reason: rejected/resend/quota
  attempt/resend/busy  attempts that brought no acceptance, by account and reason
  sent@gmail/resend    and the like: see domain_health.py. A tenant's own domains are counted in its own scope only
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable
from threading import Lock

from mailroom.aws.client import Aws
from mailroom.model.event import Event, EventType
from mailroom.model.outcome import Attempt, Outcome, Status

__all__ = ["ATTEMPT", "EVERYONE", "RETENTION_SECONDS", "Tally", "hour_of", "outcome_counter"]

EVERYONE = "*"
ATTEMPT = "attempt"
# The statuses of a report about mail that its provider accepted and did not send. `failed` is our own outcome's name.
NOT_SENT_AFTER_ALL = {
    EventType.SUPPRESSED: "suppressed",
    EventType.REJECTED: "rejected",
    EventType.FAILED: "rejected",
}
RETENTION_SECONDS = 400 * 24 * 3600
FLUSH_INTERVAL_SECONDS = 10.0
BUSY_INVOCATIONS = 3  # within the interval


class Tally:
    """Counters in memory; `flush` adds them to one row per tenant and hour, and to one for all tenants.

    A process that is invoked again and again writes them every FLUSH_INTERVAL_SECONDS, because each row is a write. If
    such a process ends, the counts of its last seconds are lost; a process with few invocations writes after each.
    """

    def __init__(self, aws: Aws, table: str, shards: int) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self._counts: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # by scope and hour
        self._lock = Lock()  # several threads count; one flushes, when they have ended
        self._invocations: deque[float] = deque(maxlen=BUSY_INVOCATIONS)  # when the latest ones ended
        self._flushed_at = float("-inf")

    def count(self, tenant: str, status: str, detail: str, number: float = 1, *, of_everyone: str = "") -> None:
        """Count for a tenant and for all of them; `of_everyone` is the status of the latter, where it differs."""
        hour = hour_of(time.time())
        with self._lock:
            for scope, scoped in ((tenant, status), (EVERYONE, of_everyone or status)):
                name, counts = f"{scoped}/{detail}", self._counts[scope, hour]
                counts[name] = counts.get(name, 0) + number

    def count_outcome(self, tenant: str, outcome: Outcome) -> None:
        """Count a final outcome, under the account that was asked last where none is responsible for it."""
        provider = outcome.provider or (outcome.tries[-1].provider if outcome.tries else "")
        self.count(tenant, *outcome_counter(outcome.status, provider, outcome.reason))

    def count_attempts(self, tenant: str, attempts: Iterable[Attempt]) -> None:
        """Count the attempts that brought no acceptance."""
        for attempt in attempts:
            if attempt.error:
                self.count(tenant, ATTEMPT, f"{attempt.provider}/{attempt.answer}")

    def count_event(self, tenant: str, event: Event) -> None:
        """Count a provider's report."""
        if status := NOT_SENT_AFTER_ALL.get(event.type):
            self.count(tenant, status, f"{event.provider}/{event.reason or ''}")
        else:
            self.count(tenant, event.type, event.provider)

    def flush_if_due(self) -> None:
        """Flush at the end of an invocation, unless the process is busy and did so a moment ago."""
        now = time.time()
        self._invocations.append(now)
        is_busy = len(self._invocations) == BUSY_INVOCATIONS and now - self._invocations[0] < FLUSH_INTERVAL_SECONDS
        # One shard: an environment for development, where a number that is missing confuses more than a write costs.
        if self._shards == 1 or not is_busy or now - self._flushed_at >= FLUSH_INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the counters; those that could not be written are kept for the next flush."""
        now = time.time()
        # Several rows per hour, because one item takes a thousand writes a second.
        shard = time.time_ns() // 1_000 % self._shards
        for scope, hour in list(self._counts):
            counts = self._counts[scope, hour]
            values = {f":{n}": {"N": repr(number)} for n, number in enumerate(counts.values())}
            adds = ", ".join(f"#{n} :{n}" for n in range(len(counts)))
            update = {
                "TableName": self._table,
                "Key": {"pk": {"S": f"tally#{scope}#{hour}#{shard:x}"}},
                "UpdateExpression": f"SET #ttl = :ttl ADD {adds}",
                "ExpressionAttributeNames": {"#ttl": "ttl", **{f"#{n}": name for n, name in enumerate(counts)}},
                "ExpressionAttributeValues": {":ttl": {"N": str(int(now + RETENTION_SECONDS))}, **values},
            }
            self._aws.call("dynamodb", "UpdateItem", update)
            del self._counts[scope, hour]
        self._flushed_at = now


def outcome_counter(status: str, provider: str, reason: str) -> tuple[str, str]:
    """Return the name of the counter of an outcome, as its status and the rest."""
    if status == Status.SENT:
        return status, provider
    return status, f"{provider}/{reason}" if provider else reason


def hour_of(timestamp: float) -> str:
    """Return the hour of a timestamp in UTC, as YYYYMMDDHH."""
    return time.strftime("%Y%m%d%H", time.gmtime(timestamp))
