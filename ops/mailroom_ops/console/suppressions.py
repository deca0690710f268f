"""The suppressions pages: find, check, add and remove suppressed addresses; import and export the list."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from mailroom.feedback.suppression import Cause
from mailroom.ledger.table import suppression_of
from mailroom.model.kinds import NAME, Lane
from mailroom_ops.console.context import Confirmation, PageContext, form_values, last_value, redirect
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import MESSAGE_ID
from mailroom_ops.ledger.suppressions import Entry
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.suppression_lists.lookup import Accounts
from mailroom_ops.web.pages import headers
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

PATH = "/console/suppressions"
PAGE_SIZE = 50
SORT_SIZE = 1000  # rows that are read and sorted at once: the list itself has no order of time
MAX_IMPORT_LINES = 1000
RESULTS = {
    "added": "The address is suppressed.",
    "removed": "The suppression is removed.",
    "removed-everywhere": "The address is removed, here and at the providers.",
    "imported": "The addresses are suppressed.",
}

Form = Mapping[str, Sequence[str]]


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    form, is_post = form_values(request), request.method == "POST"
    match below:
        case []:
            return _find(context, form) if is_post else _list(context, form)
        case ["add"]:
            return _add(context, form) if is_post else _add_page(context, form)
        case ["import"]:
            return _import(context, form) if is_post else context.page("suppressions_import", EMPTY_IMPORT)
        case ["check"] if is_post:
            return _check(context, form)
        case ["remove"] if is_post:
            return _remove(context, form)
        case ["of", message_id] if MESSAGE_ID.fullmatch(message_id) and not is_post:
            return _of_message(context, message_id)
        case ["list.csv"] if not is_post:
            return _export(context, form)
    return None


@dataclass(frozen=True, slots=True)
class Criteria:
    """The filter and the page of a list: of the rows after the key `after`, those from number `start` on."""

    tenant: str = ""
    cause: str = ""
    after: str = ""
    start: int = 0

    @classmethod
    def of(cls, form: Form) -> "Criteria":
        """Parse the parameters of the page."""
        tenant, cause, after, start = (last_value(form, name) for name in ("tenant", "cause", "after", "start"))
        if tenant and not NAME.fullmatch(tenant):
            raise InvalidInput("This is not a tenant name.", "Use lower-case letters, digits and hyphens.")
        if cause and cause not in list(Cause):
            raise InvalidInput(f"There is no cause {cause!r}.", f"Choose from {', '.join(Cause)}.")
        is_page = (not after or suppressions.KEY.fullmatch(after)) and start.isascii() and start.isdigit()
        if (after or start) and not (is_page and len(start) < 6):
            raise InvalidInput("There is no such page of the list.", "Start with the newest.")
        return cls(tenant, cause, after, int(start or 0))

    def path(self, name: str = "") -> str:
        """Return the address of this list, or of what `name` makes of it."""
        parameters = {"tenant": self.tenant, "cause": self.cause, "after": self.after, "start": str(self.start or "")}
        if self.after:
            parameters["start"] = str(self.start)
        query = {key: value for key, value in parameters.items() if value}
        return f"{PATH}{name}?{urlencode(query)}" if query else f"{PATH}{name}"


def _list(context: PageContext, form: Form) -> Response:
    try:
        criteria = Criteria.of(form)
    except InvalidInput as error:
        return _page(context, Criteria(), [], form=form, error=error)
    rows = suppressions.read_page(context.queries, criteria.tenant, criteria.after, SORT_SIZE)
    entries = [entry for entry in rows.entries if not criteria.cause or entry.cause == criteria.cause]
    end = criteria.start + PAGE_SIZE
    following = ""
    if len(entries) > end:
        following = replace(criteria, start=end).path()
    elif rows.after:
        following = replace(criteria, after=rows.after, start=0).path()
    shown, is_partial = entries[criteria.start : end], bool(criteria.after or rows.after)
    result = RESULTS.get(last_value(form, "done"), "")
    return _page(context, criteria, shown, following=following, is_partial=is_partial, result=result)


def _page(
    context: PageContext,
    criteria: Criteria,
    entries: Sequence[Entry],
    *,
    form: Form | None = None,
    error: InvalidInput | None = None,
    term: str = "",
    following: str = "",
    is_partial: bool = False,
    result: str = "",
) -> Response:
    values = {
        "criteria": criteria,
        "tenant": last_value(form, "tenant") if form else criteria.tenant,
        "cause": last_value(form, "cause") if form else criteria.cause,
        "term": term,
        "error": error,
        "entries": entries,
        "tenants": sorted({*context.tenant_names(), *(entry.tenant for entry in entries), criteria.tenant} - {""}),
        "causes": list(Cause),
        "following": following,
        "is_partial": is_partial,
        "sort_size": SORT_SIZE,
        "result": result,
        "newest": Criteria(criteria.tenant, criteria.cause).path(),
        "export": Criteria(criteria.tenant, criteria.cause).path("/list.csv"),
        "now": datetime.now(UTC),
    }
    return context.page("suppressions", values, 400 if error else 200)


def _find(context: PageContext, form: Form) -> Response:
    """Find an address. The form is posted, so that the address gets into no URL and no history."""
    term = last_value(form, "what")
    if not term:
        return redirect(PATH)
    try:
        entries = list(suppressions.find(context.queries, term))
    except InvalidInput as error:
        return _page(context, Criteria(), [], term=term, error=error)
    return _page(context, Criteria(), entries, term=term)


def _of_message(context: PageContext, message_id: str) -> Response | None:
    """Show the entry of a message's recipient, whose address the message's own page does not show."""
    record = context.queries.get(message_id)
    if record is None:
        return None
    rows = context.queries.rows([suppression_of(record.tenant, record.recipient)])
    entries = [Entry.of(row) for row in rows if "since" in row]
    return _page(context, Criteria(record.tenant), [entry for entry in entries if not entry.has_ended])


def _add_page(context: PageContext, form: Form, error: InvalidInput | None = None) -> Response:
    entered = {name: last_value(form, name) for name in ("address", "cause", *Lane)}
    entered["tenant"] = last_value(form, "tenant") or "default"
    values = {"entered": entered, "causes": list(Cause), "lanes": list(Lane), "error": error}
    return context.page("suppressions_add", values, 400 if error else 200)


def _add(context: PageContext, form: Form) -> Response:
    tenant, address = last_value(form, "tenant"), last_value(form, "address")
    try:
        cause = suppressions.check_entry(tenant, address, last_value(form, "cause") or Cause.MANUAL)
        chosen = {lane: _days(text) for lane in Lane if (text := last_value(form, lane))}
        is_complete = len(chosen) == len(Lane)
        days = chosen if is_complete else dict(suppressions.period_days(context.environment, tenant, cause)) | chosen
        if not any(days.values()):
            raise InvalidInput(
                "This suppresses nothing.", "Enter a number of days for codes, for notices, or for both."
            )
    except InvalidInput as error:
        return _add_page(context, form, error)
    if not context.is_confirmed(form):
        now = datetime.now(UTC)
        ends = [f"{lane}: until {now + timedelta(days=days[lane]):%Y-%m-%d}" for lane in Lane if days.get(lane)]
        unaffected = [f"{lane}: not suppressed" for lane in Lane if not days.get(lane)]
        numbers = {str(lane): f"{number:g}" for lane, number in days.items()}
        values = {"tenant": tenant, "address": address, "cause": str(cause)} | numbers
        confirmation = Confirmation(
            f"Suppress {address}?",
            f"Tenant {tenant} sends no more email to it. Cause: {cause}. A longer suppression stays as it is.",
            "Suppress",
            f"{PATH}/add",
            {name: [value] for name, value in values.items()},
            PATH,
            [*ends, *unaffected],
        )
        return context.confirm(confirmation, form)
    suppressions.add(suppressions.writable_list(context.environment), tenant, address, days, cause)
    return redirect(f"{PATH}?done=added")


def _remove(context: PageContext, form: Form) -> Response:
    tenant, address = last_value(form, "tenant"), last_value(form, "address")
    suppressions.check_entry(tenant, address)
    if last_value(form, "at_provider"):
        return _remove_everywhere(context, form, tenant, address)
    if not context.is_confirmed(form):
        text = f"Tenant {tenant} sends email to it again. A suppression list of the provider’s own is not changed."
        values = {"tenant": [tenant], "address": [address]}
        title, path = f"Remove the suppression of {address}?", f"{PATH}/remove"
        return context.confirm(Confirmation(title, text, "Remove", path, values, PATH), form)
    suppressions.remove(context.queries, tenant, address)
    return redirect(f"{PATH}?done=removed")


def _check(context: PageContext, form: Form) -> Response:
    """Show our entries for an address and those of the providers. It is posted, as a search is."""
    tenant, address = last_value(form, "tenant"), last_value(form, "address")
    values: dict[str, object] = {"address": address, "tenant": tenant, "error": None, "entries": [], "answers": []}
    try:
        suppressions.check_entry(tenant or "default", address)
    except InvalidInput as error:
        return context.page("suppressions_check", values | {"error": error}, 400)
    entries = [entry for entry in suppressions.find(context.queries, address) if tenant in ("", entry.tenant)]
    answers = list(_accounts(context, tenant).check(address))
    is_listed = bool(entries) or any(answer.listings for answer in answers)
    owners = [tenant] if tenant else sorted({entry.tenant for entry in entries}) or ["default"]
    result = {"entries": entries, "answers": answers, "owners": owners if is_listed else []}
    return context.page("suppressions_check", values | result)


def _remove_everywhere(context: PageContext, form: Form, tenant: str, address: str) -> Response:
    accounts = _accounts(context, tenant)
    listed = [answer for answer in accounts.check(address) if answer.listings]
    if not context.is_confirmed(form):
        text = (
            f"Tenant {tenant} sends email to it again, and so do its providers, for everyone who uses their accounts."
        )
        values = {"tenant": [tenant], "address": [address], "at_provider": ["1"]}
        lists = ["our list", *(f"the list of {answer.account}" for answer in listed)]
        title, path = f"Remove {address} from every list?", f"{PATH}/remove"
        return context.confirm(Confirmation(title, text, "Remove", path, values, PATH, lists), form)
    suppressions.remove(context.queries, tenant, address)
    for answer in listed:
        accounts.remove(answer)
    return redirect(f"{PATH}?done=removed-everywhere")


def _accounts(context: PageContext, tenant: str) -> Accounts:
    return Accounts(context.environment, Parameters(context.environment).values(), tenant)


EMPTY_IMPORT = {
    "tenant": "default",
    "csv": "",
    "error": None,
    "max_lines": MAX_IMPORT_LINES,
    "columns": ",".join(suppressions.COLUMNS),
}


def _import(context: PageContext, form: Form) -> Response:
    tenant, text = last_value(form, "tenant") or "default", last_value(form, "csv")
    try:
        entries = suppressions.with_policy(context.environment, suppressions.read_csv(io.StringIO(text), tenant))
        if not 0 < len(entries) <= MAX_IMPORT_LINES:
            todo = f"Up to {MAX_IMPORT_LINES:,} fit here; `mailroom suppressions import FILE` has no limit."
            raise InvalidInput(f"The list has {len(entries):,} addresses.", todo)
    except InvalidInput as error:
        return context.page("suppressions_import", EMPTY_IMPORT | {"tenant": tenant, "csv": text, "error": error}, 400)
    if not context.is_confirmed(form):
        tenants = sorted({entry.tenant for entry in entries})
        owners = f"{'Tenant' if len(tenants) == 1 else 'Tenants'} {', '.join(tenants)}"
        verb = "sends" if len(tenants) == 1 else "send"
        description = f"{owners} {verb} no more email to them. A longer suppression stays as it is."
        title = f"Suppress {len(entries):,} {'address' if len(entries) == 1 else 'addresses'}?"
        values = {"tenant": [tenant], "csv": [text]}
        return context.confirm(Confirmation(title, description, "Suppress", f"{PATH}/import", values, PATH), form)
    for _ in suppressions.add_all(suppressions.writable_list(context.environment), entries):
        pass
    return redirect(f"{PATH}?done=imported")


def _export(context: PageContext, form: Form) -> Response:
    criteria = Criteria.of(form)
    entries = suppressions.entries(context.queries, criteria.tenant)
    file = io.StringIO()
    suppressions.write_csv((entry for entry in entries if not criteria.cause or entry.cause == criteria.cause), file)
    name = "-".join(filter(None, ["suppressions", context.frame.label, criteria.tenant, criteria.cause]))
    disposition = ("content-disposition", f'attachment; filename="{name}.csv"')
    return Response(200, file.getvalue().encode(), (*headers("text/csv; charset=utf-8"), disposition))


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1
    if not 0 <= days <= suppressions.MAX_DAYS:
        raise InvalidInput("This is not a number of days.", f"Enter one from 0 to {suppressions.MAX_DAYS:,}.")
    return days
