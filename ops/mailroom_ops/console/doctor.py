"""The doctor page: the checks of `mailroom doctor` as a background job, and all alerts of the banner."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mailroom_ops.console.context import PageContext, form_values, redirect
from mailroom_ops.console.health import alerts
from mailroom_ops.console.jobs import Job
from mailroom_ops.doctor import AREAS, DESCRIPTIONS, Context, run_checks
from mailroom_ops.domains.dns import Dns
from mailroom_ops.errors import InvalidInput
from mailroom_ops.finding import Finding, Level
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

PATH = "/console/doctor"
JOB = "doctor"
REFRESH_SECONDS = 1
RESOLVER_VARIABLE = "MAILROOM_RESOLVER"  # the same as for the command

COMMAND = re.compile(r"(^|: )((?:mailroom|make) \S.*)$")

Result = tuple[str, Finding | None]  # an area and one of its findings; None when the area begins


def answer(context: PageContext, request: Request, below: list[str]) -> Response | None:
    if below:
        return None
    form = form_values(request)
    areas = form.get("area", [])
    if unknown := set(areas) - set(AREAS):
        raise InvalidInput(f"There is no area {min(unknown)!r}.", f"Choose from {', '.join(AREAS)}.")
    if request.method == "POST":
        chosen = areas or list(AREAS)
        context.jobs.start(JOB, Job("check", _check(context, chosen), len(chosen), chosen))
        return redirect(PATH)
    return _page(context, areas)


def _check(context: PageContext, areas: Sequence[str]) -> Iterator[Result]:
    dns = Dns(os.environ.get(RESOLVER_VARIABLE, "").split())
    shared = Context(context.environment, dns)
    for area in areas:
        yield area, None
        yield from run_checks(shared, [area])


def _marked(finding: Finding) -> Finding:
    """Return a finding with the command at the end of its advice between backticks, so that it can be copied."""
    if "`" in finding.todo:
        return finding
    return replace(finding, todo=COMMAND.sub(r"\1`\2`", finding.todo))


def _page(context: PageContext, areas: Sequence[str]) -> Response:
    job: Job[Result] | None = context.jobs.get(JOB)
    results = list(job.results) if job else []
    begun = [area for area, finding in results if finding is None]
    findings = [finding for _, finding in results if finding]
    values = {
        "job": job,
        "areas": list(AREAS),
        "descriptions": DESCRIPTIONS,
        "chosen": list(areas),
        "parts": [(area, [_marked(f) for name, f in results if f and name == area]) for area in begun],
        "current": begun[-1] if begun else "",
        "counts": {level: sum(finding.level == level for finding in findings) for level in Level},
        "done": len(begun) - 1 if job and job.is_running and begun else len(begun),
        "alerts": alerts(context),
        "refresh_seconds": REFRESH_SECONDS,
    }
    return context.page("doctor", values)
