"""`mailroom sources …`"""

import click

from mailroom_ops.cli.options import Group, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment


@click.group(
    cls=Group,
    examples=(("renew the public keys of Entra, Hanko and Neon", "mailroom sources refresh-keys --env production"),),
)
def command() -> None:
    """Connect auth servers: the requests that each of them sends, and the keys that prove them."""


@command.command(
    "refresh-keys",
    examples=(("in a daily job", "mailroom sources refresh-keys --env production --yes"),),
)
@in_environment
@yes
def refresh_keys(environment: Environment, yes: bool) -> None:
    """Read the public keys of auth servers that sign their requests, and keep them where the webhook finds them.

    Auth servers change their keys without notice, and publish a new one some time before they use it: run this daily.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.cli.value import check
    from mailroom_ops.settings import source_keys
    from mailroom_ops.settings.changes import same
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    key_sets = list(source_keys.key_sets(store.values("webhooks/")))
    changed = {}
    for key_set in key_sets:
        keys = source_keys.fetch(key_set.url)
        check(key_set.parameter, keys)
        if same(key_set.current, keys):
            screen.say(f"{key_set.parameter} has the keys of {key_set.url} already.")
        else:
            changed[key_set.parameter] = keys
    if not key_sets:
        screen.say("No source of this environment needs public keys.")
    if changed:
        confirm_production(environment, f"Replace {', '.join(changed)} in {environment.label}?", yes)
        store.write(changed)
    for name in changed:
        screen.say(f"{name} is set in {environment.label}. Functions read changes within five minutes.")
