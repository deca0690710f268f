"""The suppression list for operators: find, add, remove, import and export."""

import csv
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import encode
from mailroom.errors import ConfigurationError
from mailroom.feedback.suppression import (
    DAY_SECONDS,
    MAX_DAYS,
    MAX_WRITES,
    Cause,
    entry,
    if_unchanged,
    policy_of,
    removal,
)
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import suppression_of
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical, is_address
from mailroom.model.parameter_names import ADDRESS_KEY
from mailroom.settings import Settings
from mailroom_ops.environment import aws_error
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.ledger.queries import MAX_BACKOFF_SECONDS, LedgerQueries, Row
from mailroom_ops.settings.catalog import TENANT
from mailroom_ops.settings.parameters import Parameters

if TYPE_CHECKING:
    from mailroom_ops.environment import Environment

__all__ = [
    "COLUMNS",
    "KEY",
    "MAX_DAYS",
    "Entry",
    "ImportPlan",
    "Page",
    "add",
    "add_all",
    "check_entry",
    "entries",
    "find",
    "period_days",
    "plan_import",
    "read_csv",
    "read_page",
    "remove",
    "with_policy",
    "writable_list",
    "write_csv",
]

KEY = re.compile(rf"suppressed#{TENANT}#[0-9a-f]{{32}}")
DEFAULT_MANUAL_DAYS = 365.0
COLUMNS = ("tenant", "address", "cause", "codes_until", "notices_until")
DEFAULT_IMPORT_PERIOD = timedelta(days=5 * 365)
SOURCE = "operator"
READ_SIZE = 100  # the most that BatchGetItem takes
WRITE_SIZE = 25  # the most that BatchWriteItem takes
ROUNDING_SECONDS = 1.0
MAX_CONCURRENT_CHUNKS = 3  # with more, an import could throttle the functions
MAX_CONCURRENT_WRITES = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A suppressed address of a tenant, its cause, and the end on each lane; None where mail is still sent."""

    tenant: str
    address: str
    cause: str
    codes_until: datetime | None
    notices_until: datetime | None
    since: datetime | None = None
    source: str = ""

    @classmethod
    def of(cls, row: Row) -> "Entry":
        now = time.time()
        codes, notices = (_moment(row[f"{lane}_until"]) if row[f"{lane}_until"] > now else None for lane in Lane)
        return cls(row["tenant"], row["address"], row["cause"], codes, notices, _moment(row["since"]), row["source"])

    @property
    def has_ended(self) -> bool:
        return self.codes_until is self.notices_until is None


def entries(queries: LedgerQueries, tenant: str = "") -> Iterator[Entry]:
    """Yield the entries of one tenant or of all, without those that have ended."""
    return _current(queries.suppressions(tenant))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list, the newest of its entries first; `after` is the key of the next page, empty at the end."""

    entries: list[Entry]
    after: str


def read_page(queries: LedgerQueries, tenant: str = "", after: str = "", size: int = 1000) -> Page:
    """Return a page of the list. The list is not sorted by time, so only the entries of a page can be."""
    rows = list(islice(queries.suppressions(tenant, before=after), size + 1))
    newest_first = sorted(_current(rows[:size]), key=lambda entry: entry.since or datetime.min, reverse=True)
    return Page(newest_first, rows[size - 1]["pk"] if len(rows) > size else "")


def find(queries: LedgerQueries, address: str) -> Iterator[Entry]:
    """Yield the entries of an address, one for each tenant that suppresses it."""
    _recipient(queries, address)
    return _current(queries.suppressions(address=address))


def _current(rows: Iterable[Row]) -> Iterator[Entry]:
    return (entry for entry in map(Entry.of, rows) if not entry.has_ended)


def check_entry(tenant: str, address: str, cause: str = Cause.MANUAL) -> Cause:
    """Return the cause of an entry, or raise InvalidInput if a part of it is invalid."""
    if not is_address(address):
        raise InvalidInput("That is not one address.", "Write it as name@example.com.")
    if not re.fullmatch(TENANT, tenant):
        raise InvalidInput("That is not the name of a tenant.", "A name is lower-case letters, digits and hyphens.")
    if cause not in list(Cause):
        raise InvalidInput(f"There is no cause {cause!r}.", f"Use one of {', '.join(Cause)}.")
    return Cause(cause)


def period_days(environment: "Environment", tenant: str, cause: Cause) -> Mapping[Lane, float]:
    """Return the suppression period of a cause by lane, in days, from the tenant's policy."""
    if cause is Cause.MANUAL:
        return dict.fromkeys(Lane, DEFAULT_MANUAL_DAYS)
    try:
        return policy_of(_StoredSettings(Parameters(environment).values("suppression"), environment), tenant)[cause]
    except ConfigurationError as error:
        raise ServiceError(str(error)) from error


class _StoredSettings(Settings):
    """The settings of the functions, from values that were read with the operator's credentials."""

    def __init__(self, stored: Mapping[str, str], environment: "Environment") -> None:
        super().__init__(Aws(environment.region), environment.name)
        self._stored = stored

    def values(self, *names: str) -> dict[str, str]:
        return {name: self._stored[name] for name in names if name in self._stored}


def writable_list(environment: "Environment") -> LedgerQueries:
    """Return the ledger of an environment for `add`: create the key of its address hashes, if no mail has done it."""
    from botocore.exceptions import BotoCoreError, ClientError

    queries = LedgerQueries.of(environment)
    if queries.address_key:
        return queries
    ssm, name = environment.client("ssm"), f"/mailroom/{environment.name}/{ADDRESS_KEY}"
    try:
        try:
            ssm.put_parameter(Name=name, Value=secrets.token_hex(32), Type="SecureString", Overwrite=False)
        except ssm.exceptions.ParameterAlreadyExists:
            pass  # a function was faster
    except (BotoCoreError, ClientError) as error:
        raise aws_error(error) from error
    return LedgerQueries.of(environment)


def add(
    queries: LedgerQueries, tenant: str, address: str, days: Mapping[Lane, float], cause: Cause = Cause.MANUAL
) -> None:
    """Suppress an address; never shorten the period of an existing entry, also not of one that is added meanwhile."""
    _require_key(queries)
    pk = suppression_of(tenant, _recipient(queries, address))
    _put(queries, pk, _row(queries, pk), lambda row: entry(row, tenant, address, cause, days, SOURCE, time.time()))


def _put(queries: LedgerQueries, pk: str, row: Row, attributes: Callable[[Row], dict[str, Any]]) -> None:
    """Write an entry on the condition that its row is still as it was read; else read it again."""
    for _ in range(MAX_WRITES):
        item = _item(pk, attributes(row))
        try:
            queries.dynamodb.put_item(TableName=queries.table, Item=item, **if_unchanged(row))
        except queries.dynamodb.exceptions.ConditionalCheckFailedException:
            row = _row(queries, pk)
        else:
            return
    raise ServiceError("Others change the entry of an address all the time.", "Run this again.")


def _row(queries: LedgerQueries, pk: str) -> Row:
    return next(queries.rows([pk], is_consistent=True), {})


def remove(queries: LedgerQueries, tenant: str, address: str) -> bool:
    """Remove an address; False if it was not suppressed. The provider may keep a list of its own.

    The row is not deleted: it keeps the time of the removal, so that no earlier event suppresses the address again.
    """
    item = {"pk": suppression_of(tenant, _recipient(queries, address)), **removal(time.time())}
    try:
        queries.dynamodb.put_item(
            TableName=queries.table,
            Item={name: encode(value) for name, value in item.items()},
            ConditionExpression="attribute_exists(since)",
        )
    except queries.dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def read_csv(file: TextIO, tenant: str = "") -> list[Entry]:
    """Return the entries of a CSV file with a column `address` or `email`; InvalidInput lists each invalid line."""
    try:
        return _read_csv(csv.DictReader(file), tenant)
    except csv.Error as error:
        raise InvalidInput("The file is not valid CSV.", "Save it again as CSV, with one address a line.") from error


def _read_csv(reader: "csv.DictReader[str]", tenant: str) -> list[Entry]:
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    address = names.get("address") or names.get("email")
    if not address:
        raise InvalidInput("There is no column `address`.", f"Start the file with a line such as {','.join(COLUMNS)}.")
    read, faults = [], []
    for number, line in enumerate(reader, 2):
        values = {name: (line.get(raw) or "").strip() for name, raw in names.items()}
        try:
            read.append(_entry(values, (line[address] or "").strip(), tenant))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise InvalidInput(
            f"{len(faults)} of {len(faults) + len(read)} lines are invalid; nothing was changed.", "", faults
        )
    return read


def with_policy(environment: "Environment", imported: Iterable[Entry]) -> list[Entry]:
    """Return entries of a file: one with a cause and no dates gets the period of its tenant's policy, from now on."""
    policies: dict[tuple[str, str], Mapping[Lane, float]] = {}
    completed, now = [], datetime.now(UTC)
    for item in imported:
        if item.has_ended:  # no date was given
            policy = (item.tenant, item.cause)
            if policy not in policies:
                policies[policy] = period_days(environment, item.tenant, Cause(item.cause))
            ends = {lane: now + timedelta(days=days) if days else None for lane, days in policies[policy].items()}
            completed.append(replace(item, codes_until=ends[Lane.CODES], notices_until=ends[Lane.NOTICES]))
        else:
            completed.append(item)
    return completed


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The number of addresses by the effect that their import has."""

    new: int = 0
    extended: int = 0
    unchanged: int = 0  # suppressed for as long, or longer
    ended: int = 0  # their period is over


def plan_import(queries: LedgerQueries, imported: Sequence[Entry]) -> ImportPlan:
    """Return the effect of an import, without any change."""
    periods = _periods(queries, imported)
    rows = {row["pk"]: row for row in queries.rows(periods)}
    new = sum("since" not in rows.get(pk, {}) for pk in periods)
    unchanged = sum(period.is_covered_by(rows.get(pk, {})) for pk, period in periods.items())
    ended = len({(item.tenant, canonical(item.address)) for item in imported}) - len(periods)
    return ImportPlan(new, len(periods) - new - unchanged, unchanged, ended)


def add_all(queries: LedgerQueries, imported: Iterable[Entry]) -> Iterator[Entry]:
    """Add what has not ended, and yield an entry of each address once it is stored; never shorten a suppression.

    New addresses are written 25 at a time, right after the rows were read. Such a write has no condition: an event
    about the same address in these milliseconds is replaced by the imported entry. Existing rows are written by
    themselves, on the condition that they have not changed.
    """
    _require_key(queries)
    chunks = _chunks(_periods(queries, imported))
    with ThreadPoolExecutor(MAX_CONCURRENT_CHUNKS) as pool, ThreadPoolExecutor(MAX_CONCURRENT_WRITES) as writers:
        running = deque(pool.submit(_add, queries, chunk, writers) for chunk in islice(chunks, MAX_CONCURRENT_CHUNKS))
        while running:
            yield from running.popleft().result()
            running += [pool.submit(_add, queries, chunk, writers) for chunk in islice(chunks, 1)]


def _add(queries: LedgerQueries, periods: "Mapping[str, _Period]", writers: Executor) -> list[Entry]:
    rows = {row["pk"]: row for row in queries.rows(periods, is_consistent=True)}
    new = [_item(pk, period.attributes({})) for pk, period in periods.items() if pk not in rows]
    for start in range(0, len(new), WRITE_SIZE):
        _write(queries, new[start : start + WRITE_SIZE])
    extended = [pk for pk, period in periods.items() if pk in rows and not period.is_covered_by(rows[pk])]
    for stored in [writers.submit(_put, queries, pk, rows[pk], periods[pk].attributes) for pk in extended]:
        stored.result()
    return [period.imported for period in periods.values()]


@dataclass(frozen=True, slots=True)
class _Period:
    """An imported entry, with its end by lane in seconds since the epoch."""

    imported: Entry
    ends: Mapping[Lane, float]

    def attributes(self, row: Row) -> dict[str, Any]:
        """Return the attributes of its row, which is `row` now."""
        now, item = time.time(), self.imported
        days = {lane: (end - now) / DAY_SECONDS for lane, end in self.ends.items()}
        return entry(row, item.tenant, item.address, Cause(item.cause), days, SOURCE, now)

    def is_covered_by(self, row: Row) -> bool:
        """Return whether a row suppresses the address for as long already."""
        return all(row.get(f"{lane}_until", 0) > end - ROUNDING_SECONDS for lane, end in self.ends.items())


def _periods(queries: LedgerQueries, imported: Iterable[Entry]) -> dict[str, _Period]:
    """Return the period of each row that has not ended: the longest where an address is listed twice."""
    now = time.time()
    periods: dict[str, _Period] = {}
    for item in imported:
        pk = suppression_of(item.tenant, keyed_hash(queries.address_key, canonical(item.address)))
        ends = dict(periods[pk].ends) if pk in periods else {}
        for lane, end in ((Lane.CODES, item.codes_until), (Lane.NOTICES, item.notices_until)):
            if end and end.timestamp() > now:
                ends[lane] = max(ends.get(lane, 0), end.timestamp())
        if ends:
            periods[pk] = _Period(item, ends)
    return periods


def _chunks(periods: "Mapping[str, _Period]") -> "Iterator[Mapping[str, _Period]]":
    pairs = iter(periods.items())
    while chunk := dict(islice(pairs, READ_SIZE)):
        yield chunk


def _write(queries: LedgerQueries, items: Sequence[Mapping[str, Any]]) -> None:
    request: Any = {queries.table: [{"PutRequest": {"Item": item}} for item in items]} if items else {}
    backoff = 0.05
    while request:
        if request := queries.dynamodb.batch_write_item(RequestItems=request).get("UnprocessedItems"):
            time.sleep(backoff)  # the table is busy: sending mail comes first
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)


def _item(pk: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(value) for name, value in {"pk": pk, **attributes}.items()}


def write_csv(exported: Iterable[Entry], file: TextIO) -> int:
    """Write entries with their addresses in the clear; return their number."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for item in exported:
        ends = (end.date().isoformat() if end else "" for end in (item.codes_until, item.notices_until))
        writer.writerow([item.tenant, item.address, item.cause, *ends])
        written += 1
    return written


def _entry(values: Mapping[str, str], address: str, tenant: str) -> Entry:
    tenant = values.get("tenant") or tenant
    if not re.fullmatch(TENANT, tenant):
        raise ValueError("the tenant is missing or invalid")
    if not is_address(address):
        raise ValueError("the address is invalid")
    cause = values.get("cause") or Cause.MANUAL
    if cause not in list(Cause):
        raise ValueError(f"the cause is not one of {', '.join(Cause)}")
    codes, notices = (_end(values.get(f"{lane}_until", "")) for lane in Lane)
    if not codes and not notices and cause == Cause.MANUAL:
        codes = notices = datetime.now(UTC) + DEFAULT_IMPORT_PERIOD
    return Entry(tenant, address, cause, codes, notices)


def _end(text: str) -> datetime | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ValueError("a date is not of the form 2027-01-31") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def _recipient(queries: LedgerQueries, address: str) -> str:
    check_entry("default", address)
    return keyed_hash(queries.address_key, canonical(address))


def _require_key(queries: LedgerQueries) -> None:
    """Refuse to write rows that nobody would find, because they are hashed with no key."""
    if not queries.address_key:
        raise ServiceError("The key of the ledger's address hashes could not be read.", "Run this again.")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
