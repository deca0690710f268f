"""The page itself: what is asked for, and all that answers it."""

from datetime import UTC, datetime, timedelta

from mailroom.model.kinds import NAME
from mailroom_ops.console.context import PageContext, fields
from mailroom_ops.console.deliverability.figures import figures
from mailroom_ops.console.deliverability.period import SPANS, Period
from mailroom_ops.console.deliverability.tables import by_provider, by_tenant, reasons
from mailroom_ops.console.deliverability.trends import trends
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.stats import LIMITS, total
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if below or request.method == "POST":
        return None
    tenant, since = (fields(request).get(name, [""])[-1].strip() for name in ("tenant", "since"))
    if tenant and not NAME.fullmatch(tenant):
        raise InvalidInput("That is no name of a tenant.", "A name is lower-case letters, digits and hyphens.")
    if since and since not in SPANS:
        raise InvalidInput(f"There is no time {since!r}.", f"There are {', '.join(SPANS)}.")
    return _page(context, tenant, since or "day")


def _page(context: PageContext, tenant: str, since: str) -> Response:
    span, now = SPANS[since], datetime.now(UTC)
    begins = span.begins(now)
    number = int((now - begins) / timedelta(hours=1)) + 1
    every = context.hours.read(context.queries, begins - number * timedelta(hours=1), now, tenant)
    period = Period(span, every[number:], every[:number])
    whole = total(period.hours)
    silent = [name for name in whole.providers if name not in whole.reporting]
    values = {
        "tenant": tenant,
        "since": since,
        "spans": {key: one.name for key, one in SPANS.items()},
        "span": span.name,
        "begins": begins,
        "whole": whole,
        "figures": list(figures(whole, total(period.before))),
        "charts": list(trends(period, whole)) if whole.counts else [],
        "providers": by_provider(whole),
        "silent": silent,
        "reasons": list(reasons(whole, tenant, since)),
        "limits": LIMITS,
    }
    return context.page("deliverability", values | by_tenant(context, period, tenant, since))
