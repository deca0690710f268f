"""The deliveries pages: the newest messages by filter, a search, and the timeline of one message."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

from mailroom.ledger.table import suppression_of
from mailroom.model.kinds import KINDS, NAME, Lane
from mailroom.model.mailbox import is_address
from mailroom.model.outcome import Status
from mailroom.sources import registry
from mailroom_ops.console.context import PageContext, form_values, last_value, redirect
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.queries import MAX_TIME, MESSAGE_ID, LedgerQueries
from mailroom_ops.ledger.reasons import REASONS
from mailroom_ops.ledger.suppressions import Entry
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
PROVIDER = re.compile(r"[a-z0-9.-]{1,80}")
REASON = re.compile(r"[A-Za-z0-9_.-]{1,60}")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
REPLAYABLE = (Status.FAILED, Status.UNKNOWN)


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if request.method == "POST":
        return None if below else _search(context, last_value(form_values(request), "what"))
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
    kind: str = ""
    provider: str = ""
    reason: str = ""
    since: str = "all"
    before: str = ""

    @classmethod
    def of(cls, query: dict[str, list[str]]) -> "Criteria":
        """Parse the parameters of the page."""
        names = ("tenant", "kind", "provider", "reason", "since", "before")
        tenant, kind, provider, reason, since, before = (last_value(query, name) for name in names)
        statuses = tuple(dict.fromkeys(query.get("status", [])))
        if tenant and not NAME.fullmatch(tenant):
            raise InvalidInput("This is not a tenant name.", "Use lower-case letters, digits and hyphens.")
        if kind and not NAME.fullmatch(kind):
            raise InvalidInput("This is not a kind of email.", "Use lower-case letters, digits and hyphens.")
        if provider and not PROVIDER.fullmatch(provider):
            raise InvalidInput("This is not a provider.", "Use the name of an account, such as resend or resend.acme.")
        if reason and not REASON.fullmatch(reason):
            raise InvalidInput("This is not a reason.", "Use one as the list shows it, such as no_mailbox.")
        if unknown := set(statuses) - set(Status):
            raise InvalidInput(f"There is no status {min(unknown)!r}.", f"Choose from {', '.join(Status)}.")
        if since not in ("", *PERIOD_SECONDS):
            raise InvalidInput(f"There is no period {since!r}.", f"Choose from {', '.join(PERIOD_SECONDS)}.")
        if before and not MESSAGE_ID.fullmatch(before):
            raise InvalidInput("There is no such page of the list.", "Start with the newest.")
        return cls(tenant, statuses, kind, provider, reason, since or "all", before)

    def path(self, before: str = "") -> str:
        """Return the address of this list, or of its page after the message `before`."""
        statuses = [("status", status) for status in self.statuses]
        pairs = [("tenant", self.tenant), *statuses, ("kind", self.kind), ("provider", self.provider)]
        pairs += [("reason", self.reason), ("since", self.since)]
        query = [(name, value) for name, value in [*pairs, ("before", before)] if value]
        query = [pair for pair in query if pair != DEFAULT_PERIOD]
        return f"{PATH}?{urlencode(query)}" if query else PATH

    @property
    def is_filter(self) -> bool:
        """Whether only some of the messages are listed."""
        return bool(self.tenant or self.statuses or self.kind or self.provider or self.reason or self.since != "all")

    def fits(self, message: Trace) -> bool:
        """Return whether a message is in the list; the index takes care of tenant and period."""
        return (
            (not self.statuses or message.status in self.statuses)
            and self.kind in ("", message.kind)
            and self.provider in ("", message.account)
            and self.reason in ("", message.latest_reason)
        )


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
        if criteria.fits(message):
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
        "tenants": _choices(context.tenant_names(), criteria.tenant, (mail.tenant for mail in page.messages)),
        "kinds": _choices(KINDS, criteria.kind, (mail.kind for mail in page.messages)),
        "providers": _choices(context.environment.chain, criteria.provider, (mail.account for mail in page.messages)),
        "reasons": _choices(REASONS, criteria.reason, (mail.latest_reason for mail in page.messages)),
        "waits": {message.id: _wait(message, now) for message in page.messages if message.is_waiting},
        "older": criteria.path(page.after) if page.after else "",
        "newest": criteria.path(),
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
    if len(messages) == 1:
        return redirect(f"{PATH}/{messages[0].id}")
    now = datetime.now(UTC)
    is_cut = len(messages) > MAX_SEARCH_RESULTS
    values = {"term": term, "messages": messages[:MAX_SEARCH_RESULTS], "is_cut": is_cut, "limit": MAX_SEARCH_RESULTS}
    searched_as = "message id" if MESSAGE_ID.fullmatch(term) else "address" if is_address(term) else "provider id"
    waits = {message.id: _wait(message, now) for message in messages if message.is_waiting}
    return context.page("search", values | {"now": now, "searched_as": searched_as, "waits": waits})


def _choices(usual: Iterable[str], chosen: str, shown: Iterable[str]) -> list[str]:
    """Return the options of a filter: the usual ones, the chosen one, and those of the messages on the page."""
    return sorted({*usual, chosen, *shown} - {""})


def _wait(message: Trace, now: datetime) -> str:
    """Return which attempt a waiting message waits for, and how long."""
    number = len(message.attempts)
    ordinal = ORDINALS[number] if number < len(ORDINALS) else f"attempt {number + 1},"
    attempt = f"{ordinal} attempt" if number < len(ORDINALS) else ordinal
    if message.next_at is None:
        return f"{attempt} to come"
    seconds = (message.next_at - now).total_seconds()
    if seconds < 1:
        return f"{attempt} now"
    return f"{attempt} in {seconds:.0f} s" if seconds < 120 else f"{attempt} in {seconds / 60:.0f} min"


def _message(context: PageContext, message_id: str) -> Response:
    message = next(find_traces(context.queries, message_id), None)
    if message is None:
        return context.frame.error(404, "The ledger has no such message.", "Messages are kept for 30 days.")
    now = datetime.now(UTC)
    row = next(context.queries.rows([suppression_of(message.tenant, message.recipient)]), None)
    suppression = Entry.of(row) if row and "since" in row else None
    has_inbox = any(link.href == "/" for link in context.frame.links)
    values = {
        "message": message,
        "steps": [(step, _offset((step.at - message.created).total_seconds())) for step in message.steps],
        "has_preview": message.kind in KINDS and message.source not in registry.RENDERING,
        "suppression": suppression if suppression and not suppression.has_ended else None,
        "dead_letter_lanes": _lanes(message.kind) if message.status in REPLAYABLE else [],
        "inbox": f"/#{message.provider_id}" if has_inbox and message.provider_id else "",
        "wait": _wait(message, now) if message.is_waiting else "",
        "now": now,
        "refresh_seconds": REFRESH_SECONDS,
    }
    return context.page("message", values)


def _lanes(kind: str) -> list[Lane]:
    """Return the lanes in which the dead letter of a kind can be: a tenant's own kind decides by its data."""
    return [KINDS[kind]] if kind in KINDS else list(Lane)


def _offset(seconds: float) -> str:
    """Format the time between the request and a step."""
    sign, seconds = ("−" if seconds < 0 else "+"), abs(seconds)
    if seconds < 60:
        return f"{sign}{seconds:.2f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 60:
        return f"{sign}{minutes:.0f} min"
    return f"{sign}{hours:.0f} h" if hours < 48 else f"{sign}{hours / 24:.0f} days"
