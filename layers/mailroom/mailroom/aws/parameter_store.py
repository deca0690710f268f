"""The parameters of one environment in SSM: cached, refreshed on demand, and used on while SSM fails.

A cached value is used for CACHE_TTL_SECONDS, unless the store is given another time, and then read again. A failed
call, of whatever kind, leaves the old value in use and SSM alone for RETRY_SECONDS: a store that hangs costs one short
wait in that time, and not one for each mail. Where there is no old value, callers get the remembered error for
UNCACHED_RETRY_SECONDS. What callers derive from values is cached as long as these (`derived`).
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeVar, cast

from mailroom.aws.client import Aws, AwsError
from mailroom.errors import DeliveryError, TemporaryFailure

__all__ = [
    "ABSENCE_TTL_SECONDS",
    "CACHE_TTL_SECONDS",
    "MAX_ATTEMPTS",
    "MAX_UNKNOWN_LOOKUPS",
    "PAGES_PER_REQUEST",
    "REFRESH_INTERVAL_SECONDS",
    "RETRY_SECONDS",
    "UNCACHED_RETRY_SECONDS",
    "ParameterStore",
]

CACHE_TTL_SECONDS = 300.0
ABSENCE_TTL_SECONDS = 10.0  # where a caller asks whether a name exists: it may have been set since
RETRY_SECONDS = 15.0
UNCACHED_RETRY_SECONDS = 5.0
REFRESH_INTERVAL_SECONDS = 5.0
MAX_ATTEMPTS = 3  # of a call without which the caller cannot go on; one where a cached value can serve
NAMES_PER_CALL = 10  # the most that GetParameters takes, and the size of a page of GetParametersByPath
PAGES_PER_REQUEST = 5  # of a tree: no request waits for more
MAX_UNKNOWN_LOOKUPS = 10  # of names that do not exist, for each tree, while a value is cached
NEVER = float("-inf")
ALL = ""  # the area of a failure that concerns every parameter

Derived = TypeVar("Derived")


@dataclass(slots=True)
class Listing:
    """The pages of a tree that have been read so far, by several requests if it is large."""

    started_at: float
    values: dict[str, str] = field(default_factory=dict)
    next_token: str | None = None


class ParameterStore:
    """Reads and creates parameters below `root`; names are relative to it. Threads may share it.

    `refreshable` are the prefixes of parameters that a provider can reject.
    """

    def __init__(
        self,
        aws: Aws,
        root: str,
        refreshable: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
        cache_ttl: float = CACHE_TTL_SECONDS,
    ) -> None:
        self._aws = aws
        self._root = root
        self._refreshable = refreshable
        self._clock = clock
        self._cache_ttl = cache_ttl
        self._lock = RLock()  # while one thread waits for SSM, the others wait for its answer
        self._values: dict[str, str | None] = {}  # None: the parameter does not exist
        self._derived: dict[Hashable, tuple[float, Any]] = {}  # until when it is valid, and the derived object
        self._read_at: dict[str, float] = {}  # of names, and of trees that were read to their end
        self._listings: dict[str, Listing] = {}  # of trees that are being read
        self._listed: set[str] = set()  # trees that were read to their end at least once
        self._large: set[str] = set()  # trees of more pages than one request reads
        self._unknown: dict[str, list[float]] = {}  # by tree: when names that do not exist were looked up
        self._failures: dict[str, tuple[float, DeliveryError]] = {}  # by area: when SSM failed, and how
        self._unreported: list[DeliveryError] = []  # failures that callers did not notice
        self._refreshed_at = NEVER

    def forget(self, *prefixes: str) -> None:
        """Read parameters again at their next use, all or those with a prefix; old values serve while that fails."""
        with self._lock:
            for key in [key for key in self._read_at if not prefixes or key.startswith(prefixes)]:
                del self._read_at[key]
            self._derived.clear()

    def refresh(self) -> None:
        """Forget what a provider may have rejected, no more often than REFRESH_INTERVAL_SECONDS."""
        if self._clock() - self._refreshed_at >= REFRESH_INTERVAL_SECONDS:
            self._refreshed_at = self._clock()
            self.forget(*self._refreshable)

    def values(self, *names: str) -> dict[str, str]:
        """Return those of `names` that are set, in one call for ten of them."""
        with self._lock:
            expired = self._clock() - self._cache_ttl
            stale = [name for name in dict.fromkeys(names) if self._read_at.get(name, NEVER) < expired]
            for start in range(0, len(stale), NAMES_PER_CALL):
                self._read_names(stale[start : start + NAMES_PER_CALL])
            return {name: value for name in names if (value := self._values.get(name))}

    def derived(self, key: Hashable, names: Sequence[str], derive: Callable[[], Derived]) -> Derived:
        """Return `derive()`, which reads `names` and no other value; once, as long as their values are cached.

        `key` identifies it. An error that `derive` raises is not cached.
        """
        valid_until, derived = self._derived.get(key, (NEVER, None))
        if self._clock() <= valid_until:
            return cast(Derived, derived)
        with self._lock:
            derived = derive()
            valid_until = min(self._read_at.get(name, NEVER) for name in names) + self._cache_ttl
            self._derived[key] = valid_until, derived
            return derived

    def any_exists(self, *names: str) -> bool:
        """Return whether one of `names` is set; that none is set is remembered for ABSENCE_TTL_SECONDS only."""
        with self._lock:
            if self.values(*names):
                return True
            now = self._clock()
            expired = [name for name in names if now - self._read_at.get(name, now) > ABSENCE_TTL_SECONDS]
            for name in expired:
                del self._read_at[name]
            return bool(expired and self.values(*names))

    def tree(self, path: str) -> dict[str, str]:
        """Return all values below `path`, by their names below it.

        The first request reads all of them. A later one reads no more than PAGES_PER_REQUEST of what is stale, and
        the old values serve until the last page has been read.
        """
        with self._lock:
            if self._is_stale(path):
                self._read_pages(path, PAGES_PER_REQUEST if path in self._listed else None)
            below = ((name.removeprefix(f"{path}/"), self._values[name]) for name in self._below(path))
            return {name: value for name, value in below if value is not None}

    def lookup(self, path: str, name: str, *, is_stranger: bool = True) -> str:
        """Return the value of `name`, which a stranger chose, in the tree `path`; empty if it does not exist.

        A tree of up to PAGES_PER_REQUEST pages is read as a whole, so that a stranger's name causes no call. Of a
        larger one each parameter is read when it is first needed. At most MAX_UNKNOWN_LOOKUPS of these calls are for
        names that do not exist; after that the tree is read, PAGES_PER_REQUEST at a time, and answers for every name.
        Without `is_stranger` the name is that of an owner with other parameters, and does not count.
        """
        with self._lock:
            if self._is_stale(name) and self._is_stale(path):
                if path not in self._large:
                    self._read_pages(path, PAGES_PER_REQUEST)
                if path in self._large and self._is_stale(name):
                    if is_stranger:
                        self._read_member(path, name)
                    else:
                        self._read_names([name])
            return self._values.get(name) or ""

    def create(self, name: str, value: str) -> str:
        """Set a parameter unless it exists; return the stored value, which may be a concurrent writer's."""
        parameter = {"Name": self._root + name, "Value": value, "Type": "SecureString", "Overwrite": False}
        with self._lock:
            try:
                self._call("PutParameter", parameter, {_area(name)}, has_fallback=False)
            except AwsError as error:
                if error.code != "ParameterAlreadyExists":
                    raise
                self._failures.pop(_area(name), None)
            self._read_at.pop(name, None)
            return self.values(name)[name]

    def report(self, error: DeliveryError) -> None:
        """Keep a failure that its caller does not notice, for `take_failures`."""
        self._unreported.append(error)

    def take_failures(self) -> list[DeliveryError]:
        """Return, once, the failures that are hidden from callers because cached values serve."""
        with self._lock:
            failures, self._unreported = self._unreported, []
            return failures

    def _is_stale(self, key: str) -> bool:
        return self._clock() - self._read_at.get(key, NEVER) > self._cache_ttl

    def _below(self, path: str) -> list[str]:
        return [name for name in self._values if name.startswith(f"{path}/")]

    def _read_names(self, names: Sequence[str]) -> None:
        query = {"Names": [self._root + name for name in names], "WithDecryption": True}
        has_fallback = all(name in self._values for name in names)
        answer = self._call("GetParameters", query, set(map(_area, names)), has_fallback=has_fallback)
        if answer is not None:
            self._values |= dict.fromkeys(names) | dict(self._pairs(answer))
            self._derived.clear()
            self._read_at |= dict.fromkeys(names, self._clock())

    def _read_member(self, path: str, name: str) -> None:
        """Read one parameter of a large tree, and with it up to nine that exist and are stale."""
        expired = self._clock() - self._cache_ttl
        unknown = self._unknown[path] = [moment for moment in self._unknown.get(path, []) if moment > expired]
        exists = self._values.get(name) is not None
        if not exists and len(unknown) >= MAX_UNKNOWN_LOOKUPS:
            self._read_pages(path, PAGES_PER_REQUEST)
            if self._is_stale(path) and self._values.get(name) is None:
                raise TemporaryFailure("ssm", "tree_not_read_yet", f"{path} has many parameters, not all are read yet")
            return
        others = [other for other in self._below(path) if self._values[other] and self._is_stale(other)]
        self._read_names([name, *(other for other in others if other != name)][:NAMES_PER_CALL])
        if self._values.get(name) is None:
            unknown.append(self._clock())

    def _read_pages(self, path: str, limit: int | None) -> None:
        """Read the next pages of a tree, up to `limit`; after the last page forget what no longer exists."""
        listing = self._listings.setdefault(path, Listing(self._clock()))
        query: dict[str, Any] = {"Path": self._root + path, "Recursive": True, "WithDecryption": True}
        pages = 0
        while limit is None or pages < limit:
            token = {"NextToken": listing.next_token} if listing.next_token else {}
            has_fallback = path in self._listed
            answer = self._call("GetParametersByPath", query | token, {_area(path)}, has_fallback=has_fallback)
            if answer is None:
                return
            page = dict(self._pairs(answer))
            listing.values |= page
            self._values |= page
            self._derived.clear()
            self._read_at |= dict.fromkeys(page, self._clock())
            listing.next_token = answer.get("NextToken")
            pages += 1
            if not listing.next_token:
                return self._finish(path, listing)
        self._large.add(path)

    def _finish(self, path: str, listing: Listing) -> None:
        self._listings.pop(path, None)
        for name in self._below(path):
            if name not in listing.values:
                del self._values[name]
                self._read_at.pop(name, None)
        self._read_at[path] = listing.started_at
        self._listed.add(path)
        if len(listing.values) <= PAGES_PER_REQUEST * NAMES_PER_CALL:
            self._large.discard(path)

    def _pairs(self, answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        return ((item["Name"].removeprefix(self._root), item["Value"]) for item in answer["Parameters"])

    def _call(
        self, operation: str, query: Mapping[str, Any], areas: Iterable[str], *, has_fallback: bool
    ) -> dict[str, Any] | None:
        """Call SSM unless it failed a short time ago; return None where cached values have to serve instead."""
        failures = [self._failures[area] for area in (ALL, *areas) if area in self._failures]
        if failures:
            failed_at, error = max(failures, key=lambda failure: failure[0])
            if self._clock() - failed_at < (RETRY_SECONDS if has_fallback else UNCACHED_RETRY_SECONDS):
                if has_fallback:
                    return None
                raise error.with_traceback(None)
        try:
            answer = self._aws.call("ssm", operation, query, attempts=1 if has_fallback or failures else MAX_ATTEMPTS)
        except DeliveryError as error:
            # SSM that is slow or throttled is so for every parameter; a missing permission is one for an area.
            failed = [ALL] if isinstance(error, TemporaryFailure) else areas
            self._failures |= dict.fromkeys(failed, (self._clock(), error))
            if isinstance(error, AwsError):
                self._listings.clear()  # a page token may be too old
            if has_fallback:
                self._unreported.append(error)
                return None
            raise
        for area in (ALL, *areas):
            self._failures.pop(area, None)
        return answer


def _area(name: str) -> str:
    """Return the first part of a name, such as `providers`: permissions are granted by it."""
    return name.partition("/")[0]
