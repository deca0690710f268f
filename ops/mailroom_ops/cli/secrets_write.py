"""`mailroom secrets set` and `mailroom secrets rotate`"""

import json

import click

from mailroom_ops.cli.options import Command, confirm_production, in_environment, yes
from mailroom_ops.cli.value import Name, check, folder, given, kept
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput


@click.command(
    "set",
    cls=Command,
    examples=(
        ("type it when asked", "mailroom secrets set providers/resend/api_key --env staging"),
        ("pipe it in", "pass show resend | mailroom secrets set providers/resend/api_key --env staging"),
        ("what is no secret may stand here", "mailroom secrets set providers/ses/region eu-west-1 --env staging"),
        (
            "let one be made, for one tenant",
            "mailroom secrets set api/keys/acme --generate --tenant acme --out acme.key",
        ),
    ),
)
@in_environment
@click.argument("name", type=Name())
@click.argument("value", required=False)
@click.option("--file", type=click.Path(allow_dash=True), help="Read the value from a file; - is stdin.")
@click.option("--generate", is_flag=True, help="Make a strong one.")
@click.option("--tenant", "tenants", multiple=True, metavar="NAME", help="What an API key may send for; any, if none.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="What kinds of mail it may send; any, if none.")
@click.option("--out", metavar="FILE", help="Where a generated one is kept: a new file, or - for a pipe.")
@yes
def set_(
    environment: Environment,
    name: str,
    value: str | None,
    file: str | None,
    generate: bool,
    tenants: tuple[str, ...],
    kinds: tuple[str, ...],
    out: str | None,
    yes: bool,
) -> None:
    """Set the parameter NAME."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import rotation
    from mailroom_ops.settings.changes import same
    from mailroom_ops.settings.parameters import Parameters

    secret = rotation.generate(name) if generate else given(name, value, file)
    new = _scoped(name, secret, tenants, kinds)
    check(name, new)
    store = Parameters(environment)
    before = store.values(folder(name)).get(name)
    if before is not None and same(before, new):
        screen.say(f"{name} holds this value already.")
        return
    verb = "Set" if before is None else "Replace"
    confirm_production(environment, f"{verb} {name} in {environment.label}?", yes)
    with kept(secret, out, generate):
        store.put(name, new)
    if out != "-":
        screen.say(f"{name} is set in {environment.label}. Functions read it within five minutes.")


@click.command(
    "rotate",
    cls=Command,
    examples=(
        (
            "1. accept a new value beside the old one",
            "mailroom secrets rotate webhooks/logto/authorization --out new.txt",
        ),
        ("2. after five minutes, give the new one to Logto", ""),
        ("3. stop accepting the old one", "mailroom secrets rotate webhooks/logto/authorization --finish"),
    ),
)
@in_environment
@click.argument("name", type=Name())
@click.option("--finish", is_flag=True, help="The new value is in use: let go of the old one.")
@click.option("--cancel", is_flag=True, help="Go back: let go of the new one.")
@click.option("--ask", is_flag=True, help="Ask for the new value, where the other side gives it.")
@click.option("--file", type=click.Path(allow_dash=True), help="Read the new value from a file; - is stdin.")
@click.option("--out", metavar="FILE", help="Where a new one is kept: a new file, or - for a pipe.")
@yes
def rotate(
    environment: Environment,
    name: str,
    finish: bool,
    cancel: bool,
    ask: bool,
    file: str | None,
    out: str | None,
    yes: bool,
) -> None:
    """Change the secret NAME without a gap.

    What opens a door of ours (webhooks, API keys, feedback) holds two values for a while: the new one is accepted
    beside the old one until --finish. A provider's key has one value: make the new key at the provider first, then
    rotate; the old key must stay good for five minutes, until every function has read the new one.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog, rotation
    from mailroom_ops.settings.parameters import Parameters

    setting = catalog.find(name)
    if setting is None or not setting.is_secret or setting.ours:
        raise InvalidInput(
            f"{name} is not a secret that can be rotated.", "Change a setting with `mailroom secrets set`."
        )
    if finish and cancel:
        raise InvalidInput("--finish keeps the new value and --cancel the old one.", "Give one of them.")
    if (finish or cancel) and not setting.many:
        raise InvalidInput(f"{name} holds one value: there is nothing to finish or to cancel.")
    store = Parameters(environment)
    current = store.values(folder(name)).get(name)
    where = f"{name} in {environment.label}"
    if finish or cancel:
        left = rotation.finish(name, current) if finish else rotation.cancel(name, current)
        confirm_production(environment, f"Stop accepting the {'old' if finish else 'new'} value of {where}?", yes)
        store.put(name, left)
        screen.say(f"{name} accepts one value again, the {'new' if finish else 'old'} one.")
        return
    made = setting.many and not ask and file is None
    new = rotation.generate(name) if made else given(name, None, file)
    check(name, new)
    value = rotation.begin(name, current, new) if setting.many else rotation.replace(name, current, new)
    confirm_production(environment, f"Rotate {where}?", yes)
    with kept(new, out, made):
        store.put(name, value)
    if not setting.many:
        screen.say(f"{name} is replaced in {environment.label}. Keep the old one valid for five minutes.")
    elif out != "-":
        screen.say(f"{name} accepts the new value beside the old one, everywhere within five minutes.")
        screen.say("Put the new one in use then, and end with:")
        screen.note(f"mailroom secrets rotate {name} --finish --env {environment.label}")


def _scoped(name: str, secret: str, tenants: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    if not tenants and not kinds:
        return secret
    if not name.startswith("api/keys/"):
        raise InvalidInput("--tenant and --kind say what an API key may do.", f"{name} is none: leave them out.")
    scope = {"tenants": list(tenants), "kinds": list(kinds)}
    return json.dumps({"key": secret} | {key: names for key, names in scope.items() if names})
