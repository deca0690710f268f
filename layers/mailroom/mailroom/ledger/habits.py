"""Habits, learned from the tallies: which account reports its deliveries to a group of domains, and how soon."""

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item
from mailroom.errors import TemporaryFailure
from mailroom.ledger.domain_health import Health, read_health
from mailroom.ledger.tally import EVERYONE, hour_of

__all__ = ["Habits"]

PERIOD_HOURS = 24
HOUR_SECONDS = 3600.0
RECENT_SECONDS = 600.0  # the reports of younger mails may still come
CACHE_TTL_SECONDS = 1800.0
MIN_SENT = 20  # fewer mails show no habit
MIN_SHARE = 0.9  # of the sent mail whose delivery is reported in time: so at most one code in ten is sent twice
KEYS_PER_READ = 100  # the most that BatchGetItem takes

ByGroup = dict[tuple[str, str], Health]


class Habits:
    """Reads the tallies of the last day, and caches them. One read costs about 200 units, with 16 shards."""

    def __init__(self, aws: Aws, table: str, shards: int) -> None:
        self._aws = aws
        self._table = table
        self._shards = shards
        self._health: ByGroup = {}
        self._read_at = float("-inf")

    def reports(self, account: str, group: str, seconds: float, now: float) -> bool:
        """Return whether an account normally reports a delivery to this domain group within so many seconds.

        The present hour, and for ten minutes the one before, do not count, unless there is nothing else: their
        deliveries may be held up.
        """
        if now - self._read_at > CACHE_TTL_SECONDS:
            recent = now - RECENT_SECONDS
            earlier = self._read({hour_of(recent - HOUR_SECONDS * number) for number in range(1, PERIOD_HOURS + 1)})
            self._health = earlier or self._read({hour_of(recent), hour_of(now)})
            self._read_at = now
        health = self._health.get((account, group), Health())
        return health.sent >= MIN_SENT and health.delivered_within(seconds) >= MIN_SHARE

    def _read(self, hours: set[str]) -> ByGroup:
        keys = [{"pk": {"S": f"tally#{EVERYONE}#{hour}#{shard:x}"}} for hour in hours for shard in range(self._shards)]
        counters: dict[str, float] = {}
        for start in range(0, len(keys), KEYS_PER_READ):
            request = {"RequestItems": {self._table: {"Keys": keys[start : start + KEYS_PER_READ]}}}
            answer = self._aws.call("dynamodb", "BatchGetItem", request)
            if answer.get("UnprocessedKeys"):
                raise TemporaryFailure("dynamodb", "throttled")
            for item in answer["Responses"].get(self._table, ()):
                for name, number in decode_item(item).items():
                    if "@" in name:
                        counters[name] = counters.get(name, 0) + number
        return read_health(counters)
