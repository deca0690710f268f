"""`mailroom secrets set` and `mailroom secrets rotate`"""

import json

import click

from mailroom_ops.cli.options import Command, as_json, confirm_production, in_environment, yes
from mailroom_ops.cli.value import Name, check, hand_over, parent, read_value
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput


@click.command(
    "set",
    cls=Command,
    examples=(
        ("type it when prompted", "mailroom secrets set providers/resend/api_key --env staging"),
        ("pipe it in", "pass show resend | mailroom secrets set providers/resend/api_key --env staging"),
        (
            "a setting that is no secret, as an argument",
            "mailroom secrets set providers/ses/region eu-west-1 --env staging",
        ),
        (
            "generate an API key for one tenant",
            "mailroom secrets set api/keys/acme --generate --tenant acme --out acme.key",
        ),
    ),
)
@in_environment
@click.argument("name", type=Name())
@click.argument("value", required=False)
@click.option("--file", type=click.Path(allow_dash=True), help="Read the value from a file; - is stdin.")
@click.option("--generate", is_flag=True, help="Generate a strong value.")
@click.option("--tenant", "tenants", multiple=True, metavar="NAME", help="Limit an API key to this tenant; repeatable.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Limit an API key to this kind of mail; repeatable."
)
@click.option("--out", metavar="FILE", help="Write the generated value to this new file, or - for a pipe.")
@yes
@as_json
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
    as_json: bool,
) -> None:
    """Set the parameter NAME."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import rotation
    from mailroom_ops.settings.changes import same
    from mailroom_ops.settings.parameters import Parameters

    secret = rotation.generate(name) if generate else read_value(name, value, file)
    new = _scoped(name, secret, tenants, kinds)
    check(name, new)
    store = Parameters(environment)
    current = store.values(parent(name)).get(name)
    if current is not None and same(current, new):
        if as_json:
            screen.emit_json({"name": name, "changed": False})
        else:
            screen.say(f"{name} has this value already.")
        return
    verb = "Set" if current is None else "Replace"
    confirm_production(environment, f"{verb} {name} in {environment.label}?", yes)
    with hand_over(secret, out, generate):
        store.put(name, new)
    if out == "-":
        return  # stdout has the value
    if as_json:
        screen.emit_json({"name": name, "changed": True})
    else:
        screen.say(f"{name} is set in {environment.label}. Functions read changes {environment.settings_delay}.")


@click.command(
    "rotate",
    cls=Command,
    examples=(
        (
            "1. accept a new value beside the old one",
            "mailroom secrets rotate webhooks/logto/authorization --out new.txt",
        ),
        ("2. after five minutes, configure the new value in Logto", ""),
        ("3. stop accepting the old value", "mailroom secrets rotate webhooks/logto/authorization --finish"),
    ),
)
@in_environment
@click.argument("name", type=Name())
@click.option("--finish", is_flag=True, help="Stop accepting the old value.")
@click.option("--cancel", is_flag=True, help="Undo: stop accepting the new value.")
@click.option("--ask", is_flag=True, help="Prompt for the new value, if the provider issues it.")
@click.option("--file", type=click.Path(allow_dash=True), help="Read the new value from a file; - is stdin.")
@click.option("--out", metavar="FILE", help="Write the generated value to this new file, or - for a pipe.")
@yes
@as_json
def rotate(
    environment: Environment,
    name: str,
    finish: bool,
    cancel: bool,
    ask: bool,
    file: str | None,
    out: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Rotate the secret NAME without downtime.

    Secrets of webhooks, API keys and feedback have two values during a rotation: the new one is accepted beside the
    old one until --finish. A provider's key has one value: create the new key at the provider first, then rotate; keep
    the old key valid for five minutes, until every function has read the new one.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog, rotation
    from mailroom_ops.settings.parameters import Parameters

    setting = catalog.find(name)
    if setting is None or not setting.is_secret or setting.is_generated:
        raise InvalidInput(f"{name} cannot be rotated.", "Change a setting with `mailroom secrets set`.")
    if finish and cancel:
        raise InvalidInput("--finish keeps the new value and --cancel the old one.", "Use one of them.")
    if (finish or cancel) and not setting.is_rotatable:
        raise InvalidInput(f"{name} has one value: there is nothing to finish or to cancel.")
    store = Parameters(environment)
    current = store.values(parent(name)).get(name)
    where = f"{name} in {environment.label}"
    if finish or cancel:
        remaining = rotation.finish(name, current) if finish else rotation.cancel(name, current)
        confirm_production(environment, f"Stop accepting the {'old' if finish else 'new'} value of {where}?", yes)
        store.put(name, remaining)
        if as_json:
            screen.emit_json({"name": name, "values": 1})
            return
        screen.say(f"{name} accepts one value again, the {'new' if finish else 'old'} one.")
        return
    is_generated = setting.is_rotatable and not ask and file is None
    new = rotation.generate(name) if is_generated else read_value(name, None, file)
    check(name, new)
    value = rotation.begin(name, current, new) if setting.is_rotatable else rotation.replace(name, current, new)
    confirm_production(environment, f"Rotate {where}?", yes)
    with hand_over(new, out, is_generated):
        store.put(name, value)
    if out == "-":
        return  # stdout has the value
    if as_json:
        screen.emit_json({"name": name, "values": 2 if setting.is_rotatable else 1})
    elif not setting.is_rotatable:
        screen.say(f"{name} is replaced in {environment.label}. Keep the old key valid for five minutes.")
    else:
        screen.say(f"{name} accepts both values, in every function {environment.settings_delay}.")
        screen.say("Then configure the new value on the other side, and finish with:")
        screen.note(f"mailroom secrets rotate {name} --finish --env {environment.label}")


def _scoped(name: str, secret: str, tenants: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    if not tenants and not kinds:
        return secret
    if not name.startswith("api/keys/"):
        raise InvalidInput(f"--tenant and --kind are for API keys, and {name} is none.", "Leave them out.")
    scope = {"tenants": list(tenants), "kinds": list(kinds)}
    return json.dumps({"key": secret} | {key: names for key, names in scope.items() if names})
