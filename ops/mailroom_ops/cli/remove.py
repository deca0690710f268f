"""`mailroom remove`"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, confirm, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.capacity.removal import Remainder


@click.command(
    cls=Command,
    examples=(
        ("show the plan, delete nothing", "mailroom remove --env staging --dry-run"),
        ("delete everything", "mailroom remove --env staging --with-ledger --with-settings"),
    ),
)
@in_environment
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--with-ledger", is_flag=True, help="Delete the ledger as well, with all suppressions.")
@click.option("--with-settings", is_flag=True, help="Delete the parameters as well, with all secrets.")
@yes
@as_json
def command(
    environment: Environment, dry_run: bool, with_ledger: bool, with_settings: bool, yes: bool, as_json: bool
) -> None:
    """Delete the stack of an environment. The plan comes first: what stays, and its price."""
    from mailroom_ops.capacity import removal
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters

    if environment.is_local:
        raise InvalidInput(
            "The local stack has nothing to delete.", "End `make run`, or name an environment with --env."
        )
    store = Parameters(environment)
    names = list(store.all())
    table = environment.outputs.get("LedgerTableName", "")
    remainders = list(removal.remainders(environment, len(names)))
    if as_json:
        stays = [{"name": item.name, "usd": item.price, "todo": item.todo} for item in remainders]
        screen.emit_json({"stack": environment.stack_name, "stays": stays, "dry_run": dry_run})
    else:
        _show_plan(environment, remainders)
    if dry_run:
        if not as_json:
            screen.say("Nothing was deleted: this is a dry run.")
        return
    more = [*([table] if with_ledger else []), *(["all parameters"] if with_settings else [])]
    confirm(environment.label, f"Delete {', '.join([environment.stack_name, *more])}?", yes)
    removal.delete_stack(environment)
    if with_ledger and any(item.name == f"table {table}" for item in remainders):
        removal.delete_ledger(environment, table)
    if with_settings:
        store.delete(names)
    if not as_json:
        screen.say("The deletion has begun. To wait for its end:")
        screen.emit(f"  aws cloudformation wait stack-delete-complete --stack-name {environment.stack_name}")


def _show_plan(environment: Environment, remainders: "Sequence[Remainder]") -> None:
    from mailroom_ops.cli import screen

    screen.say(f"The stack {environment.stack_name} in {environment.region} is deleted, with its queues and logs.")
    screen.say("What stays:")
    for item in remainders:
        screen.say(f"  {item.name}" + (f": {item.price:.2f} USD a month" if item.price else ""))
        screen.say(f"    {item.todo}")
    if environment.outputs.get("EgressIp"):
        screen.say("With a fixed address, Lambda releases its network late: the deletion takes 20 to 40 minutes.")
    screen.say("At the providers: domains, webhooks and keys stay. At your DNS: the records of the sending domains.")
