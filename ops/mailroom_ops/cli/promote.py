"""`mailroom promote staging production`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json, confirm, yes
from mailroom_ops.environment import DEPLOYED, LABELS, Environment


@click.command(
    cls=Command,
    examples=(
        ("show the changes, write nothing", "mailroom promote staging production --dry-run"),
        ("what was tried with `make run`", "mailroom promote local development --tenant acme"),
        (
            "promote one tenant, with the keys of its dedicated accounts",
            "mailroom promote staging production --tenant acme --with-keys",
        ),
    ),
)
@click.argument("source", type=click.Choice(LABELS))
@click.argument("target", type=click.Choice(DEPLOYED))
@click.option("--tenant", default="", metavar="NAME", help="Only this tenant's settings.")
@click.option("--with-keys", is_flag=True, help="Copy the keys of providers as well.")
@click.option("--dry-run", is_flag=True, help="Show the changes and stop.")
@click.option("--profile", metavar="NAME", help="AWS profile of SOURCE; else AWS_PROFILE.")
@click.option("--to-profile", metavar="NAME", help="AWS profile of TARGET, if it differs.")
@click.option("--region", metavar="NAME", envvar="AWS_REGION", help="AWS region of SOURCE; else the profile's.")
@click.option("--to-region", metavar="NAME", help="AWS region of TARGET, if it differs.")
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
    """Copy senders, brands and provider settings from SOURCE to TARGET.

    What only TARGET has stays as it is. Keys of providers are copied with --with-keys only, because each environment
    should have its own. Secrets of webhooks, API keys and feedback are never copied.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import changes
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.settings.promote import promotion, without_sandboxes

    if source == target:
        raise InvalidInput(
            "SOURCE and TARGET are the same environment.", "Such as `mailroom promote staging production`."
        )
    store = Parameters(Environment(target, to_profile or profile, to_region or region))
    origin = Environment(source, profile, region)
    values = Parameters(origin).values()
    if origin.is_local:
        values = without_sandboxes(values)
    promoted = promotion(values, store.values(), tenant=tenant, with_keys=with_keys)
    if tenant and not promoted.changes and not promoted.lacking:
        raise InvalidInput(
            f"{source} has no settings of a tenant {tenant}.", f"See `mailroom tenant list --env {source}`."
        )
    to_write = changes.pending(promoted.changes)
    if as_json:
        report = {
            "changes": [change.to_json() for change in promoted.changes],
            "lacking": [{"name": name, "todo": todo} for name, todo in promoted.lacking],
            "left_out": [{"name": name, "why": why} for name, why in promoted.left_out],
        }
        screen.emit(json.dumps(report, ensure_ascii=False))
    else:
        screen.say(f"{source} → {target}")
        screen.plan(promoted.changes)
        for name, reason in promoted.left_out:
            screen.warn(f"{name} is not copied: {reason}.")
        if promoted.lacking:
            screen.say(f"Still missing in {target}:")
            screen.table(("name", "next step"), promoted.lacking)
    if dry_run or not to_write:
        if not as_json:
            screen.say("Nothing to change." if not to_write else "Nothing was changed: this is a dry run.")
        return
    confirm(target, f"Write {len(to_write)} {'parameter' if len(to_write) == 1 else 'parameters'} to {target}?", yes)
    store.write({change.name: change.new for change in to_write if change.new is not None})
    if not as_json:
        screen.say(f"Written: {len(to_write)}. Check with `mailroom doctor --env {target}`.")
