"""`mailroom trace`"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.trace import Trace


MAX_CANDIDATES = 20


@click.command(
    cls=Command,
    examples=(
        ("trace a mail by its message id", "mailroom trace 01a1fad716a3febae9f7600d82e2dad8 --env staging"),
        ("by the id that `mailroom log` shows", "mailroom trace 01a1fad716a --env staging"),
        ("trace the recent mail to an address", "mailroom trace reader@example.com --env staging"),
    ),
)
@in_environment
@click.argument("what")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1), help="Maximum number of mails.")
@as_json
@click.pass_context
def command(ctx: click.Context, environment: Environment, what: str, limit: int, as_json: bool) -> None:
    """Show the delivery status and the timeline of a mail.

    WHAT is a message id or its beginning, an address, or a provider's id. Times are UTC. Exits with 1 if there is no
    such mail.
    """
    from itertools import islice

    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.queries import LedgerQueries
    from mailroom_ops.ledger.trace import find_traces

    traces = list(islice(find_traces(LedgerQueries.of(environment), what), max(limit, MAX_CANDIDATES + 1)))
    _require_one(what.strip(), traces)
    del traces[limit:]
    if as_json:
        screen.emit_json([trace.to_json() | _explanation(trace) for trace in traces])
    for trace in traces if not as_json else ():
        _show(trace)
    if not traces and not as_json:
        screen.say("There is no such mail in the ledger, which keeps mail for 30 days.")
    ctx.exit(0 if traces else 1)


def _require_one(name: str, traces: "Sequence[Trace]") -> None:
    """Raise InvalidInput if several mails have an id that begins with `name`."""
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.ledger.trace import is_prefix

    if len(traces) < 2 or not is_prefix(name) or not traces[0].id.startswith(name):
        return
    number = f"{len(traces)}" if len(traces) <= MAX_CANDIDATES else f"More than {MAX_CANDIDATES}"
    candidates = [f"{trace.id}  {trace.kind} for {trace.to}" for trace in traces[:MAX_CANDIDATES]]
    raise InvalidInput(f"{number} mails have an id that begins with {name}.", "Give more of the id.", candidates)


def _explanation(trace: "Trace") -> dict[str, str]:
    """Return the meaning and the next step of a mail's reason, or of the last attempt if it waits for another one."""
    from mailroom_ops.ledger.reasons import explain

    last = trace.steps[-1].event if trace.steps and trace.status == "accepted" else ""
    explanation = explain(trace.reason or last, trace.status)
    return {"meaning": explanation.meaning, "next_step": explanation.next_step} if explanation else {}


def _show(trace: "Trace") -> None:
    from mailroom_ops.cli import screen

    screen.say(f"{trace.id}  {trace.kind} for {trace.to}")
    reason = f" ({trace.reason})" if trace.reason else ""
    by = f" through {trace.provider}" if trace.provider else ""
    screen.note(
        f"{trace.status}{reason}{by}; tenant {trace.tenant}, from {trace.source}, {trace.created:%Y-%m-%d %H:%M:%S}"
    )
    if explanation := _explanation(trace):
        screen.note(explanation["meaning"])
        screen.hanging("  ", f"→ {explanation['next_step']}", 4)
    screen.table(
        ("time", "provider", "event"),
        [(f"{step.at:%H:%M:%S.%f}"[:-3], step.provider, f"{step.event} {step.detail}".strip()) for step in trace.steps],
    )
    screen.say()
