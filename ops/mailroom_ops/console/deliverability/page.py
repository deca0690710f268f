"""The deliverability page: parses its parameters and collects figures, charts and tables."""

from datetime import UTC, datetime, timedelta

from mailroom.model.kinds import NAME
from mailroom_ops.console.context import PageContext, form_values
from mailroom_ops.console.deliverability.figures import figures
from mailroom_ops.console.deliverability.period import SPANS, Period
from mailroom_ops.console.deliverability.tables import provider_rows, reasons, tenant_table
from mailroom_ops.console.deliverability.trends import trends
from mailroom_ops.errors import InvalidInput
from mailroom_ops.ledger.stats import LIMITS, health_rows, total
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if below or request.method == "POST":
        return None
    tenant, since = (form_values(request).get(name, [""])[-1].strip() for name in ("tenant", "since"))
    if tenant and not NAME.fullmatch(tenant):
        raise InvalidInput("This is not a tenant name.", "Use lower-case letters, digits and hyphens.")
    if since and since not in SPANS:
        raise InvalidInput(f"There is no period {since!r}.", f"Choose from {', '.join(SPANS)}.")
    return _page(context, tenant, since or "day")


def _page(context: PageContext, tenant: str, since: str) -> Response:
    span, now = SPANS[since], datetime.now(UTC)
    begins = span.begins(now)
    number = int((now - begins) / timedelta(hours=1)) + 1
    every_hour = context.hours.read(context.queries, begins - number * timedelta(hours=1), now, tenant)
    period = Period(span, every_hour[number:], every_hour[:number])
    whole = total(period.hours)
    values = {
        "tenant": tenant,
        "since": since,
        "spans": {key: choice.name for key, choice in SPANS.items()},
        "span": span.name,
        "begins": begins,
        "whole": whole,
        "has_earlier": any(hour.counts for hour in period.before),
        "figures": list(figures(whole, total(period.before))),
        "charts": list(trends(period, whole)) if whole.counts else [],
        "providers": provider_rows(whole),
        "domains": health_rows(whole.health),
        "without_reports": [name for name in whole.providers if whole.of("sent", name) and name not in whole.reporting],
        "reasons": list(reasons(whole, tenant, since)),
        "limits": LIMITS,
    }
    table = tenant_table(context, period, tenant, since)
    names = sorted({*table["names"], *filter(None, [tenant])})
    return context.page("deliverability", values | table | {"names": names})
