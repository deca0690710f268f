"""The deliveries pages: the newest messages by filter, a search, and the timeline of one message."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from mailroom.model.kinds import KINDS, NAME
from mailroom.model.mailbox import is_address
from mailroom.model.outcome import Status
from mailroom.sources import registry
from mailroom_ops.console.context import PageContext, form_values, redirect
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MAX_TIME, MESSAGE_ID, LedgerQueries
from mailroom_ops.ledger.trace import Trace, find_traces
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

PATH = "/console/deliveries"
PAGE_SIZE = 50
MAX_ROWS_READ = 1000  # for one page: bounds what a filter for a rare status costs
MAX_SEARCH_RESULTS = 200
PERIOD_SECONDS = {"hour": 3600, "day": 24 * 3600, "week": 7 * 24 * 3600, "all": 0}
REFRESH_SECONDS = 2
SLOW_REFRESH_SECONDS = 10  # where a refresh reads many rows
DEFAULT_PERIOD = ("since", "all")


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if request.method == "POST":
        return None if below else _search(context, form_values(request).get("what", [""])[-1].strip())
    match below:
        case []:
            return _list(context, Criteria.of(form_values(request)))
        case [message_id] if MESSAGE_ID.fullmatch(message_id):
            return _message(context, message_id)
    return None


@dataclass(frozen=True, slots=True)
class Criteria:
    """The filter and the page of a list; `before` is the id of the last message of the previous page."""

    tenant: str = ""
    statuses: tuple[str, ...] = ()
    since: str = "all"
    before: str = ""

    @classmethod
    def of(cls, query: dict[str, list[str]]) -> "Criteria":
        """Parse the parameters of the page."""
        tenant, since, before = (query.get(name, [""])[-1].strip() for name in ("tenant", "since", "before"))
        statuses = tuple(dict.fromkeys(query.get("status", [])))
        if tenant and not NAME.fullmatch(tenant):
            raise InvalidInput("This is not a tenant name.", "Use lower-case letters, digits and hyphens.")
        if unknown := set(statuses) - set(Status):
            raise InvalidInput(f"There is no status {min(unknown)!r}.", f"Choose from {', '.join(Status)}.")
        if since not in ("", *PERIOD_SECONDS):
            raise InvalidInput(f"There is no period {since!r}.", f"Choose from {', '.join(PERIOD_SECONDS)}.")
        if before and not MESSAGE_ID.fullmatch(before):
            raise InvalidInput("There is no such page of the list.", "Start with the newest.")
        return cls(tenant, statuses, since or "all", before)

    def path(self, before: str = "") -> str:
        """Return the address of this list, or of its page after the message `before`."""
        pairs = [("tenant", self.tenant), *(("status", status) for status in self.statuses), ("since", self.since)]
        query = [(name, value) for name, value in [*pairs, ("before", before)] if value]
        query = [pair for pair in query if pair != DEFAULT_PERIOD]
        return f"{PATH}?{urlencode(query)}" if query else PATH


@dataclass(frozen=True, slots=True)
class ResultPage:
    """The messages of one page; `after` is the id to continue from, empty at the end of the list."""

    messages: list[Trace]
    rows_read: int
    oldest_read: datetime | None
    after: str


def find_page(queries: LedgerQueries, criteria: Criteria, now: datetime) -> ResultPage:
    """Return the next page of a list; read at most MAX_ROWS_READ rows."""
    period = PERIOD_SECONDS[criteria.since]
    since = now.timestamp() - period if period else 0
    # An id begins with its time in milliseconds; the half makes up for the rounding of a float.
    until = (int(criteria.before[:12], 16) + 0.5) / 1000 if criteria.before else MAX_TIME
    messages: list[Trace] = []
    rows_read, after, oldest_read = 0, "", None
    for record in queries.find(since, until, criteria.tenant):
        if criteria.before and record.message_id >= criteria.before:
            continue
        if len(messages) == PAGE_SIZE or rows_read == MAX_ROWS_READ:
            return ResultPage(messages, rows_read, oldest_read, after)
        message = Trace.of(record)
        rows_read, after, oldest_read = rows_read + 1, message.id, message.created
        if not criteria.statuses or message.status in criteria.statuses:
            messages.append(message)
    return ResultPage(messages, rows_read, oldest_read, "")


def _list(context: PageContext, criteria: Criteria) -> Response:
    now = datetime.now(UTC)
    page = find_page(context.queries, criteria, now)
    refresh = REFRESH_SECONDS if page.rows_read <= 2 * PAGE_SIZE else SLOW_REFRESH_SECONDS
    values = {
        "criteria": criteria,
        "result": page,
        "now": now,
        "periods": list(PERIOD_SECONDS),
        "statuses": list(Status),
        "tenants": sorted({message.tenant for message in page.messages}),
        "older": criteria.path(page.after) if page.after else "",
        "newest": criteria.path(),
        "is_filtered": bool(criteria.tenant or criteria.statuses or criteria.since != "all"),
        "is_full": len(page.messages) == PAGE_SIZE or not page.after,
        "refresh_seconds": 0 if criteria.before else refresh,
        "term": "",
    }
    return context.page("deliveries", values)


def _search(context: PageContext, term: str) -> Response:
    """Find messages by address or id. The form is posted, so that no address gets into a URL or a history."""
    if not term:
        return redirect(PATH)
    messages = list(islice(find_traces(context.queries, term), MAX_SEARCH_RESULTS + 1))
    if len(messages) == 1 and not is_address(term):
        return redirect(f"{PATH}/{messages[0].id}")
    is_cut = len(messages) > MAX_SEARCH_RESULTS
    values = {"term": term, "messages": messages[:MAX_SEARCH_RESULTS], "is_cut": is_cut, "limit": MAX_SEARCH_RESULTS}
    return context.page("search", values | {"now": datetime.now(UTC)})


def _message(context: PageContext, message_id: str) -> Response:
    message = next(find_traces(context.queries, message_id), None)
    if message is None:
        return context.frame.error(404, "The ledger has no such message.", "Messages are kept for 30 days.")
    steps = [(step, _offset((step.at - message.created).total_seconds())) for step in message.steps]
    has_preview = message.kind in KINDS and message.source not in registry.RENDERING
    values = {"message": message, "steps": steps, "has_preview": has_preview}
    return context.page("message", values | {"refresh_seconds": REFRESH_SECONDS})


def _offset(seconds: float) -> str:
    """Format the time between the request and a step."""
    sign, seconds = ("−" if seconds < 0 else "+"), abs(seconds)
    if seconds < 60:
        return f"{sign}{seconds:.2f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 60:
        return f"{sign}{minutes:.0f} min"
    return f"{sign}{hours:.0f} h" if hours < 48 else f"{sign}{hours / 24:.0f} days"
