"""Who gets no more mail: the list, found again by tenant, cause or address; add, remove, take over, take along."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from mailroom.feedback.suppression import Cause
from mailroom.model.kinds import NAME, Lane
from mailroom_ops.console.context import Confirmation, PageContext, away, fields
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.suppressions import Entry
from mailroom_ops.web.pages import headers
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

HERE = "/console/suppressions"
SHOWN = 50
LOOKED_AT = 1000  # rows a page: the list has no order of time, so that many are put into one
LONGEST = 1000  # lines of a list that is pasted
DONE = {"added": "It is on the list.", "removed": "It is off the list.", "imported": "They are on the list."}

Form = Mapping[str, Sequence[str]]


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    said, is_post = fields(request), request.method == "POST"
    match below:
        case []:
            return _find(context, said) if is_post else _list(context, said)
        case ["add"]:
            return _add(context, said) if is_post else _form(context, said)
        case ["import"]:
            return _import(context, said) if is_post else context.page("suppressions_import", PASTED)
        case ["remove"] if is_post:
            return _remove(context, said)
        case ["list.csv"] if not is_post:
            return _export(context, said)
    return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for: of the rows after a key, some of those newest first, from a number on."""

    tenant: str = ""
    cause: str = ""
    after: str = ""
    start: int = 0

    @classmethod
    def of(cls, said: Form) -> "Wanted":
        tenant, cause, after, start = (_last(said, name) for name in ("tenant", "cause", "after", "start"))
        if tenant and not NAME.fullmatch(tenant):
            raise InvalidInput("That is no name of a tenant.", "A name is lower-case letters, digits and hyphens.")
        if cause and cause not in list(Cause):
            raise InvalidInput(f"There is no cause {cause!r}.", f"There are {', '.join(Cause)}.")
        is_page = (not after or suppressions.KEY.fullmatch(after)) and start.isascii() and start.isdigit()
        if (after or start) and not (is_page and len(start) < 6):
            raise InvalidInput("That page of the list is not one there is.", "Begin with the newest.")
        return cls(tenant, cause, after, int(start or 0))

    def path(self, name: str = "") -> str:
        known = {"tenant": self.tenant, "cause": self.cause, "after": self.after, "start": str(self.start or "")}
        if self.after:
            known["start"] = str(self.start)
        said = {key: value for key, value in known.items() if value}
        return f"{HERE}{name}?{urlencode(said)}" if said else f"{HERE}{name}"


def _list(context: PageContext, said: Form) -> Response:
    try:
        wanted = Wanted.of(said)
    except InvalidInput as wrong:
        return _page(context, Wanted(), [], typed=said, wrong=wrong)
    rows = suppressions.read_page(context.queries, wanted.tenant, wanted.after, LOOKED_AT)
    found = [one for one in rows.entries if not wanted.cause or one.cause == wanted.cause]
    end = wanted.start + SHOWN
    following = ""
    if len(found) > end:
        following = replace(wanted, start=end).path()
    elif rows.after:
        following = replace(wanted, after=rows.after, start=0).path()
    is_part = bool(wanted.after or rows.after)
    return _page(
        context, wanted, found[wanted.start : end], following=following, is_part=is_part, done=_last(said, "done")
    )


def _page(
    context: PageContext,
    wanted: Wanted,
    found: Sequence[Entry],
    *,
    typed: Form | None = None,
    wrong: InvalidInput | None = None,
    what: str = "",
    following: str = "",
    is_part: bool = False,
    done: str = "",
) -> Response:
    values = {
        "wanted": wanted,
        "tenant": _last(typed, "tenant") if typed else wanted.tenant,
        "cause": _last(typed, "cause") if typed else wanted.cause,
        "what": what,
        "wrong": wrong,
        "found": found,
        "tenants": sorted({one.tenant for one in found}),
        "causes": list(Cause),
        "following": following,
        "is_part": is_part,
        "looked_at": LOOKED_AT,
        "done": DONE.get(done, ""),
        "newest": Wanted(wanted.tenant, wanted.cause).path(),
        "export": Wanted(wanted.tenant, wanted.cause).path("/list.csv"),
        "now": datetime.now(UTC),
    }
    return context.page("suppressions", values, 400 if wrong else 200)


def _find(context: PageContext, said: Form) -> Response:
    """Look for an address. It is posted: it is nothing for a URL or a history."""
    what = _last(said, "what")
    if not what:
        return away(HERE)
    try:
        found = list(suppressions.find(context.queries, what))
    except InvalidInput as wrong:
        return _page(context, Wanted(), [], what=what, wrong=wrong)
    return _page(context, Wanted(), found, what=what)


def _form(context: PageContext, said: Form, wrong: InvalidInput | None = None) -> Response:
    typed = {name: _last(said, name) for name in ("address", "cause", *Lane)}
    typed["tenant"] = _last(said, "tenant") or "default"
    values = {"typed": typed, "causes": list(Cause), "lanes": list(Lane), "wrong": wrong}
    return context.page("suppressions_add", values, 400 if wrong else 200)


def _add(context: PageContext, said: Form) -> Response:
    tenant, address = _last(said, "tenant"), _last(said, "address")
    try:
        cause = suppressions.check_entry(tenant, address, _last(said, "cause") or Cause.MANUAL)
        given = {lane: _days(text) for lane in Lane if (text := _last(said, lane))}
        is_whole = len(given) == len(Lane)
        days = given if is_whole else dict(suppressions.period_days(context.environment, tenant, cause)) | given
        if not any(days.values()):
            raise InvalidInput("That keeps nothing back.", "Give a number of days for codes, for notices, or for both.")
    except InvalidInput as wrong:
        return _form(context, said, wrong)
    if not context.is_confirmed(said):
        now = datetime.now(UTC)
        ends = [f"{lane}: until {now + timedelta(days=days[lane]):%Y-%m-%d}" for lane in Lane if days.get(lane)]
        free = [f"{lane}: it does get them" for lane in Lane if not days.get(lane)]
        chosen = {str(lane): f"{number:g}" for lane, number in days.items()}
        values = {"tenant": tenant, "address": address, "cause": str(cause)} | chosen
        kept = "Where it is kept back for longer already, it stays so."
        asked = Confirmation(
            f"Suppress {address}?",
            f"It gets no more mail of {tenant}, because of: {cause}. {kept}",
            "Suppress it",
            f"{HERE}/add",
            {name: [value] for name, value in values.items()},
            HERE,
            [*ends, *free],
        )
        return context.confirm(asked, said)
    suppressions.add(context.queries, tenant, address, days, cause)
    return away(f"{HERE}?done=added")


def _remove(context: PageContext, said: Form) -> Response:
    tenant, address = _last(said, "tenant"), _last(said, "address")
    suppressions.check_entry(tenant, address)
    if not context.is_confirmed(said):
        what = f"It gets mail of {tenant} again. Its provider may keep a list of its own, and has to be told there."
        values = {"tenant": [tenant], "address": [address]}
        asked = Confirmation(
            f"Let {address} have mail again?", what, "Take it off the list", f"{HERE}/remove", values, HERE
        )
        return context.confirm(asked, said)
    suppressions.remove(context.queries, tenant, address)
    return away(f"{HERE}?done=removed")


PASTED = {"tenant": "default", "csv": "", "wrong": None, "longest": LONGEST, "columns": ",".join(suppressions.COLUMNS)}


def _import(context: PageContext, said: Form) -> Response:
    tenant, text = _last(said, "tenant") or "default", _last(said, "csv")
    try:
        wanted = suppressions.read_csv(io.StringIO(text), tenant)
        if not 0 < len(wanted) <= LONGEST:
            todo = f"Up to {LONGEST:,} are taken here; `mailroom suppressions import FILE` takes any number."
            raise InvalidInput(f"It names {len(wanted):,} addresses.", todo)
    except InvalidInput as wrong:
        return context.page("suppressions_import", PASTED | {"tenant": tenant, "csv": text, "wrong": wrong}, 400)
    if not context.is_confirmed(said):
        tenants = ", ".join(sorted({one.tenant for one in wanted}))
        what = f"They get no more mail of {tenants}. Who is kept back for longer already stays so."
        title = f"Suppress {len(wanted):,} {'address' if len(wanted) == 1 else 'addresses'}?"
        values = {"tenant": [tenant], "csv": [text]}
        return context.confirm(Confirmation(title, what, "Suppress them", f"{HERE}/import", values, HERE), said)
    for _ in suppressions.add_all(context.queries, wanted):
        pass
    return away(f"{HERE}?done=imported")


def _export(context: PageContext, said: Form) -> Response:
    wanted = Wanted.of(said)
    found: Iterator[Entry] = suppressions.entries(context.queries, wanted.tenant)
    file = io.StringIO()
    suppressions.write_csv((one for one in found if not wanted.cause or one.cause == wanted.cause), file)
    name = "-".join(filter(None, ["suppressions", context.frame.label, wanted.tenant, wanted.cause]))
    disposition = ("content-disposition", f'attachment; filename="{name}.csv"')
    return Response(200, file.getvalue().encode(), (*headers("text/csv; charset=utf-8"), disposition))


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1
    if not 0 <= days <= suppressions.MAX_DAYS:
        raise InvalidInput("That is no number of days.", f"Give one from 0 to {suppressions.MAX_DAYS:,}.")
    return days


def _last(said: Form, name: str) -> str:
    return said.get(name, [""])[-1].strip()
