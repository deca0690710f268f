"""The entries of the command palette: tenants and actions; the pages are in the navigation."""

from mailroom.model.kinds import Lane
from mailroom_ops.console.context import PageContext
from mailroom_ops.web.pages import json_answer
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

ACTIONS = (
    ("Add a suppressed address", "/console/suppressions/add"),
    ("Import suppressed addresses", "/console/suppressions/import"),
    ("Run the doctor’s checks", "/console/doctor"),
    *((f"Dead letters of {lane}", f"/console/queues/{lane}") for lane in Lane),
    ("Failed emails", "/console/deliveries?status=failed&status=unknown"),
    ("Bounced emails", "/console/deliveries?status=bounced"),
    ("Emails of the last hour", "/console/deliveries?since=hour"),
)


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    """Return the entries as JSON, with the token that the search form needs."""
    if below or request.method == "POST":
        return None
    entries = [{"name": name, "href": href, "group": "Action"} for name, href in ACTIONS]
    for tenant in context.tenant_names():
        for group, path in (("Tenant", "/console/senders/"), ("Emails of", "/console/deliveries?tenant=")):
            entries.append({"name": tenant, "href": f"{path}{tenant}", "group": group})
    return json_answer({"entries": entries, "token": context.frame.token})
