"""The deliveries: the newest mails, found again by filter or by name, and what became of one of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from mailroom.model.kinds import KINDS, NAME
from mailroom.model.mailbox import is_address
from mailroom.model.outcome import Status
from mailroom_ops.console.context import PageContext, away, fields
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MAX_TIME, MESSAGE_ID, LedgerQueries
from mailroom_ops.ledger.trace import Trace, find_traces
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

SHOWN = 50
LOOKED_AT = 1000  # rows a page: what a rare filter may cost
FOUND = 200  # mails of one reader
SPANS = {"hour": 3600, "day": 24 * 3600, "week": 7 * 24 * 3600, "all": 0}
PAUSE = 2  # seconds between two looks
LONGER_PAUSE = 10  # where a look costs many reads


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if request.method == "POST":
        return None if below else _search(context, fields(request).get("what", [""])[-1].strip())
    match below:
        case []:
            return _list(context, Wanted.of(fields(request)))
        case [message_id] if MESSAGE_ID.fullmatch(message_id):
            return _mail(context, message_id)
    return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which mails are asked for; `before` is the id of a mail that was shown or looked at already."""

    tenant: str = ""
    statuses: tuple[str, ...] = ()
    since: str = "all"
    before: str = ""

    @classmethod
    def of(cls, said: dict[str, list[str]]) -> "Wanted":
        tenant, since, before = (said.get(name, [""])[-1].strip() for name in ("tenant", "since", "before"))
        statuses = tuple(dict.fromkeys(said.get("status", [])))
        if tenant and not NAME.fullmatch(tenant):
            raise InvalidInput("That is no name of a tenant.", "A name is lower-case letters, digits and hyphens.")
        if unknown := set(statuses) - set(Status):
            raise InvalidInput(f"There is no status {min(unknown)!r}.", f"There are {', '.join(Status)}.")
        if since not in ("", *SPANS):
            raise InvalidInput(f"There is no time {since!r}.", f"There are {', '.join(SPANS)}.")
        if before and not MESSAGE_ID.fullmatch(before):
            raise InvalidInput("That page of the list is not one there is.", "Begin with the newest.")
        return cls(tenant, statuses, since or "all", before)

    def query(self, before: str = "") -> str:
        """Return the address of this list, from a mail on."""
        known = [("tenant", self.tenant), *(("status", one) for one in self.statuses), ("since", self.since)]
        said = [(name, value) for name, value in [*known, ("before", before)] if value and (name, value) != DEFAULT]
        return f"/console/deliveries?{urlencode(said)}" if said else "/console/deliveries"


DEFAULT = ("since", "all")


@dataclass(frozen=True, slots=True)
class Found:
    """The mails of one page, how many rows that took, and from which one to go on."""

    mails: list[Trace]
    looked_at: int
    back_to: datetime | None
    after: str  # empty when there is no more


def look(queries: LedgerQueries, wanted: Wanted, now: datetime) -> Found:
    """Find the next mails, looking at no more rows than a page may cost."""
    span = SPANS[wanted.since]
    since = now.timestamp() - span if span else 0
    # An id begins with its time in milliseconds; the half keeps a float from falling short of it.
    until = (int(wanted.before[:12], 16) + 0.5) / 1000 if wanted.before else MAX_TIME
    mails: list[Trace] = []
    looked_at, after, back_to = 0, "", None
    for record in queries.find(since, until, wanted.tenant):
        if wanted.before and record.message_id >= wanted.before:
            continue
        if len(mails) == SHOWN or looked_at == LOOKED_AT:
            return Found(mails, looked_at, back_to, after)
        one = Trace.of(record)
        looked_at, after, back_to = looked_at + 1, one.id, one.created
        if not wanted.statuses or one.status in wanted.statuses:
            mails.append(one)
    return Found(mails, looked_at, back_to, "")


def _list(context: PageContext, wanted: Wanted) -> Response:
    now = datetime.now(UTC)
    found = look(context.queries, wanted, now)
    pause = PAUSE if found.looked_at <= 2 * SHOWN else LONGER_PAUSE
    values = {
        "wanted": wanted,
        "found": found,
        "now": now,
        "spans": list(SPANS),
        "statuses": list(Status),
        "tenants": sorted({mail.tenant for mail in found.mails}),
        "older": wanted.query(found.after) if found.after else "",
        "newest": wanted.query(),
        "is_filtered": bool(wanted.tenant or wanted.statuses or wanted.since != "all"),
        "is_whole": len(found.mails) == SHOWN or not found.after,
        "pause": 0 if wanted.before else pause,
        "what": "",
    }
    return context.page("deliveries", values)


def _search(context: PageContext, what: str) -> Response:
    """Show what an address or an id stands for. It is posted: an address is nothing for a URL or a history."""
    if not what:
        return away("/console/deliveries")
    mails = list(islice(find_traces(context.queries, what), FOUND + 1))
    if len(mails) == 1 and not is_address(what):
        return away(f"/console/deliveries/{mails[0].id}")
    values = {"what": what, "mails": mails[:FOUND], "is_cut": len(mails) > FOUND, "most": FOUND}
    return context.page("search", values | {"now": datetime.now(UTC)})


def _mail(context: PageContext, message_id: str) -> Response:
    found = next(find_traces(context.queries, message_id), None)
    if found is None:
        todo = "The ledger forgets a mail after 30 days."
        return context.frame.problem(404, "The ledger knows no such mail.", todo)
    steps = [(step, _offset((step.at - found.created).total_seconds())) for step in found.steps]
    values = {"mail": found, "steps": steps, "has_sample": found.kind in KINDS}
    return context.page("mail", values | {"pause": PAUSE})


def _offset(seconds: float) -> str:
    """Say how long after it was handed over something happened."""
    sign, seconds = ("−" if seconds < 0 else "+"), abs(seconds)
    if seconds < 60:
        return f"{sign}{seconds:.2f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 60:
        return f"{sign}{minutes:.0f} min"
    return f"{sign}{hours:.0f} h" if hours < 48 else f"{sign}{hours / 24:.0f} days"
