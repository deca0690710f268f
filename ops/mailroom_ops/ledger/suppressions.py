"""The list of who gets no more mail, by hand: look, add, remove, take over from elsewhere, take along."""

import csv
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from mailroom.aws.client import Aws
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.errors import ConfigurationError
from mailroom.feedback.suppression import DAY_SECONDS, MAX_DAYS, Cause, entry, policy_of, removal
from mailroom.ledger.table import keyed_hash, suppression_of
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical, is_address
from mailroom.settings import Settings
from mailroom_ops.errors import InvalidInput, ServiceError
from mailroom_ops.ledger.queries import LedgerQueries, Row
from mailroom_ops.settings.catalog import TENANT
from mailroom_ops.settings.parameters import Parameters

if TYPE_CHECKING:
    from mailroom_ops.environment import Environment

__all__ = [
    "COLUMNS",
    "KEY",
    "MAX_DAYS",
    "Entry",
    "Portion",
    "add",
    "apply",
    "checked",
    "days_for",
    "entries",
    "find",
    "portion",
    "read_csv",
    "remove",
    "write_csv",
]

KEY = re.compile(rf"suppressed#{TENANT}#[0-9a-f]{{32}}")
MANUAL_DAYS = 365.0
COLUMNS = ("tenant", "address", "cause", "codes_until", "notices_until")
FOREVER = timedelta(days=5 * 365)
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Entry:
    """One address and why it gets nothing from a tenant, and until when on each lane; None is: it does get it."""

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
    def is_over(self) -> bool:
        return self.codes_until is self.notices_until is None


def entries(queries: LedgerQueries, tenant: str = "") -> Iterator[Entry]:
    """Yield the list: a tenant's, or everybody's."""
    found = map(Entry.of, queries.suppressions(tenant))
    return (one for one in found if not one.is_over)


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of the list, newest first among themselves, and the key to go on from; empty when there is no more."""

    entries: list[Entry]
    after: str


def portion(queries: LedgerQueries, tenant: str = "", after: str = "", most: int = 1000) -> Portion:
    """Look at some rows of the list. It is kept in no order of time, so only what was read can be put into one."""
    rows = list(islice(queries.suppressions(tenant, before=after), most + 1))
    found = sorted(map(Entry.of, rows[:most]), key=lambda one: one.since or datetime.min, reverse=True)
    return Portion([one for one in found if not one.is_over], rows[most - 1]["pk"] if len(rows) > most else "")


def find(queries: LedgerQueries, address: str) -> Iterator[Entry]:
    """Yield each tenant from which an address gets no more mail."""
    _recipient(queries, address)
    found = map(Entry.of, queries.suppressions(address=address))
    return (one for one in found if not one.is_over)


def checked(tenant: str, address: str, cause: str = Cause.MANUAL) -> Cause:
    """Refuse what cannot be an entry."""
    if not is_address(address):
        raise InvalidInput("That is not one address.", "Write it as name@example.com.")
    if not re.fullmatch(TENANT, tenant):
        raise InvalidInput("That is no name of a tenant.", "A name is lower-case letters, digits and hyphens.")
    if cause not in list(Cause):
        raise InvalidInput(f"There is no cause {cause!r}.", f"There are {', '.join(Cause)}.")
    return Cause(cause)


def days_for(environment: "Environment", tenant: str, cause: Cause) -> Mapping[Lane, float]:
    """Return for how long a cause keeps mail back, by the tenant's policy."""
    if cause is Cause.MANUAL:
        return dict.fromkeys(Lane, MANUAL_DAYS)
    try:
        return policy_of(_Read(Parameters(environment).values("suppression"), environment), tenant)[cause]
    except ConfigurationError as error:
        raise ServiceError(str(error)) from error


class _Read(Settings):
    """Settings that the operator's own credentials have read."""

    def __init__(self, found: Mapping[str, str], environment: "Environment") -> None:
        super().__init__(Aws(environment.region), environment.name)
        self._found = found

    def values(self, *names: str) -> dict[str, str]:
        return {name: self._found[name] for name in names if name in self._found}


def add(
    queries: LedgerQueries, tenant: str, address: str, days: Mapping[Lane, float], cause: Cause = Cause.MANUAL
) -> None:
    """Suppress an address, no shorter than it is already."""
    recipient = _recipient(queries, address)
    pk = suppression_of(tenant, recipient)
    found = queries.dynamodb.get_item(TableName=queries.table, Key={"pk": {"S": pk}}, ConsistentRead=True).get("Item")
    wanted = entry(decode_item(found or {}), tenant, address, cause, days, OPERATOR, time.time())
    item = {name: encode(value) for name, value in {"pk": pk, **wanted}.items()}
    queries.dynamodb.put_item(TableName=queries.table, Item=item)


def remove(queries: LedgerQueries, tenant: str, address: str) -> bool:
    """Let an address have mail again; False if it was not suppressed. The provider may keep a list of its own.

    The row is not deleted: it keeps the time of the removal, so that no event from before suppresses the address again.
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
    """Read a CSV file with a column `address` or `email`; InvalidInput names each bad line."""
    reader = csv.DictReader(file)
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    address = names.get("address") or names.get("email")
    if not address:
        raise InvalidInput("There is no column `address`.", f"Begin the file with a line such as {','.join(COLUMNS)}.")
    found, faults = [], []
    for number, line in enumerate(reader, 2):
        values = {name: (line.get(raw) or "").strip() for name, raw in names.items()}
        try:
            found.append(_entry(values, (line[address] or "").strip(), tenant))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise InvalidInput(
            f"{len(faults)} of {len(faults) + len(found)} lines cannot be read; nothing was changed.", "", faults
        )
    return found


def apply(queries: LedgerQueries, wanted: Iterable[Entry]) -> Iterator[Entry]:
    """Add each that is not over, and yield it when that is done."""
    now = time.time()
    for one in wanted:
        ends = {Lane.CODES: one.codes_until, Lane.NOTICES: one.notices_until}
        seconds = {lane: end.timestamp() - now for lane, end in ends.items() if end}
        days = {lane: left / DAY_SECONDS for lane, left in seconds.items() if left > 0}
        if days:
            add(queries, one.tenant, one.address, days, Cause(one.cause))
        yield one


def write_csv(found: Iterable[Entry], file: TextIO) -> int:
    """Write a list with its addresses in the clear, which is what it is for; return how many."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for one in found:
        ends = (end.date().isoformat() if end else "" for end in (one.codes_until, one.notices_until))
        writer.writerow([one.tenant, one.address, one.cause, *ends])
        written += 1
    return written


def _entry(values: Mapping[str, str], address: str, tenant: str) -> Entry:
    tenant = values.get("tenant") or tenant
    if not re.fullmatch(TENANT, tenant):
        raise ValueError("it names no tenant")
    if not is_address(address):
        raise ValueError("its address is none")
    cause = values.get("cause") or Cause.MANUAL
    if cause not in list(Cause):
        raise ValueError(f"its cause is none of {', '.join(Cause)}")
    codes, notices = (_end(values.get(f"{lane}_until", "")) for lane in Lane)
    if not codes and not notices:
        codes = notices = datetime.now(UTC) + FOREVER
    return Entry(tenant, address, cause, codes, notices)


def _end(text: str) -> datetime | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ValueError("a date in it is not of the form 2027-01-31") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def _recipient(queries: LedgerQueries, address: str) -> str:
    checked("default", address)
    if not queries.address_key:
        raise InvalidInput(
            "This environment has not sent a mail yet.", "Send one first: it makes the key of its ledger."
        )
    return keyed_hash(queries.address_key, canonical(address))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
