"""`mailroom promote staging production`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json, confirm, yes
from mailroom_ops.environment import DEPLOYED, Environment


@click.command(
    cls=Command,
    examples=(
        ("see what would go along", "mailroom promote staging production --dry-run"),
        (
            "one tenant, with the key it has at its provider",
            "mailroom promote staging production --tenant acme --with-keys",
        ),
    ),
)
@click.argument("source", type=click.Choice(DEPLOYED))
@click.argument("target", type=click.Choice(DEPLOYED))
@click.option("--tenant", default="", metavar="NAME", help="Only what belongs to this tenant.")
@click.option("--with-keys", is_flag=True, help="The keys of providers too.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--profile", metavar="NAME", help="AWS profile of SOURCE; else AWS_PROFILE.")
@click.option("--to-profile", metavar="NAME", help="AWS profile of TARGET, if it is another.")
@click.option("--region", metavar="NAME", help="AWS region of SOURCE; else the profile's.")
@click.option("--to-region", metavar="NAME", help="AWS region of TARGET, if it is another.")
@yes
@as_json
def command(
    source: str,
    target: str,
    tenant: str,
    with_keys: bool,
    dry_run: bool,
    profile: str | None,
    to_profile: str | None,
    region: str | None,
    to_region: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Take what was tried in SOURCE to TARGET: senders, brands, templates, and where providers are.

    Nothing that TARGET has alone is touched. Keys of providers stay behind without --with-keys, since each environment
    should have its own; what opens a door of ours (webhooks, API keys, feedback) never goes along.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import changes
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.settings.promote import promotion

    if source == target:
        raise InvalidInput("Both are the same environment.", "Name two, such as `mailroom promote staging production`.")
    store = Parameters(Environment(target, to_profile or profile, to_region or region))
    values = Parameters(Environment(source, profile, region)).values()
    found = promotion(values, store.values(), tenant=tenant, with_keys=with_keys)
    if tenant and not found.changes and not found.lacking:
        raise InvalidInput(f"{source} has nothing of a tenant {tenant}.", f"See `mailroom tenant list --env {source}`.")
    to_write = changes.pending(found.changes)
    if as_json:
        report = {
            "changes": [change.to_json() for change in found.changes],
            "lacking": [{"name": name, "todo": todo} for name, todo in found.lacking],
            "left_out": [{"name": name, "why": why} for name, why in found.left_out],
        }
        screen.emit(json.dumps(report, ensure_ascii=False))
    else:
        screen.say(f"{source} → {target}")
        screen.plan(found.changes)
        for name, why in found.left_out:
            screen.warn(f"{name} stays behind: {why}.")
        if found.lacking:
            screen.say(f"{target} still lacks:")
            screen.table(("name", "what to do"), found.lacking)
    if dry_run or not to_write:
        if not as_json:
            screen.say("Nothing to change." if not to_write else "Nothing was changed: this is a dry run.")
        return
    confirm(target, f"Write {len(to_write)} to {target}?", yes)
    store.write({change.name: change.new for change in to_write if change.new is not None})
    if not as_json:
        screen.say(f"Written: {len(to_write)}. Check it with `mailroom doctor --env {target}`.")
