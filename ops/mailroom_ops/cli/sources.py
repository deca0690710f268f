"""`mailroom sources …`"""

import time
from pathlib import Path

import click

from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

ROOT = Path(__file__).parents[3]
SECRETS_FILE = Path(__file__).parents[1] / "local" / "secrets.yaml"


@click.group(
    cls=Group,
    invoke_without_command=True,
    examples=(
        ("requests to the local stack, signed with its secrets", "mailroom sources"),
        ("renew the public keys of Entra, Hanko and Neon", "mailroom sources refresh-keys --env production"),
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Connect auth servers: the requests that each of them sends, and the keys that prove them.

    Without a command, list every source with its address in the local stack and a request that can be sent there. A
    signed request is valid for five minutes.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_)


@command.command("list", examples=(("send one", "mailroom sources list supabase | sh"),))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@as_json
def list_(names: tuple[str, ...] = (), as_json: bool = False) -> None:
    """Print sources: address and an example request."""
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.local.source_requests import SourceRequests

    requests = SourceRequests(ROOT, SECRETS_FILE)
    sources, origin = requests.sources(), Environment("local").local_url
    if unknown := set(names) - set(sources):
        raise InvalidInput(f"There is no source {unknown.pop()}.", f"Use {', '.join(sources)}.")
    requests_by_name = {name: requests.make(name, time.time()) for name in names or sources}
    if as_json:
        screen.emit_json(
            [
                {"name": name, "url": f"{origin}{request.path}", "curl": request.to_curl(origin)}
                for name, request in requests_by_name.items()
            ]
        )
        return
    for name, request in requests_by_name.items():
        screen.emit(f"# {name}: {origin}{request.path}")
        screen.emit(f"{request.to_curl(origin)}\n")


@command.command(
    "refresh-keys",
    examples=(("in a daily job", "mailroom sources refresh-keys --env production --yes"),),
)
@in_environment
@yes
@as_json
def refresh_keys(environment: Environment, yes: bool, as_json: bool) -> None:
    """Renew the public keys of auth servers.

    They sign their requests, and publish the keys; the webhook finds them in the parameter store.

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
        if not same(key_set.current, keys):
            changed[key_set.parameter] = keys
        elif not as_json:
            screen.say(f"{key_set.parameter} has the keys of {key_set.url} already.")
    if not key_sets and not as_json:
        screen.say("No source of this environment needs public keys.")
    if changed:
        confirm_production(environment, f"Replace {', '.join(changed)} in {environment.label}?", yes)
        store.write(changed)
    if as_json:
        screen.emit_json([{"name": key_set.parameter, "changed": key_set.parameter in changed} for key_set in key_sets])
        return
    for name in changed:
        screen.say(f"{name} is set in {environment.label}. Functions read changes {environment.settings_delay}.")
