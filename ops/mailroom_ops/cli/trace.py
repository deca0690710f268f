"""`mailroom trace`"""

import json
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.ledger.trace import Trace


@click.command(
    cls=Command,
    examples=(
        ("by the id that Mailroom gave it", "mailroom trace 01a1fad716a3febae9f7600d82e2dad8 --env staging"),
        ("all that went to a reader lately", "mailroom trace reader@example.com --env staging"),
    ),
)
@in_environment
@click.argument("what")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1), help="How many mails at most.")
@as_json
@click.pass_context
def command(ctx: click.Context, environment: Environment, what: str, limit: int, as_json: bool) -> None:
    """Tell what became of a mail: WHAT is a message id, an address, or a provider's own id.

    Times are UTC. Exits with 1 if nothing is known.
    """
    from itertools import islice

    from mailroom_ops.cli import screen
    from mailroom_ops.ledger.queries import LedgerQueries
    from mailroom_ops.ledger.trace import find_traces

    found = list(islice(find_traces(LedgerQueries.of(environment), what), limit))
    if as_json:
        screen.emit(json.dumps([one.to_json() for one in found], ensure_ascii=False))
    for one in found if not as_json else ():
        _show(one)
    if not found and not as_json:
        screen.say("The ledger knows nothing of it. It forgets after 30 days.")
    ctx.exit(0 if found else 1)


def _show(one: "Trace") -> None:
    from mailroom_ops.cli import screen

    screen.say(f"{one.id}  {one.kind} for {one.to}")
    reason = f" ({one.reason})" if one.reason else ""
    by = f" through {one.provider}" if one.provider else ""
    screen.note(f"{one.status}{reason}{by}; tenant {one.tenant}, from {one.source}, {one.created:%Y-%m-%d %H:%M:%S}")
    screen.table(
        ("at", "by", "what"),
        [(f"{step.at:%H:%M:%S.%f}"[:-3], step.provider, f"{step.event} {step.detail}".strip()) for step in one.steps],
    )
    screen.say()
