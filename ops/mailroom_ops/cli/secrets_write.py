"""`mailroom secrets set` and `mailroom secrets rotate`"""

import click

from mailroom_ops.cli.options import Command, confirm, in_environment, yes
from mailroom_ops.cli.value import Name, check, folder, given, keep
from mailroom_ops.environment import Environment
from mailroom_ops.problem import BadInput


@click.command(
    "set",
    cls=Command,
    examples=(
        ("type it when asked", "mailroom secrets set providers/resend/api_key --env staging"),
        ("pipe it in", "pass show resend | mailroom secrets set providers/resend/api_key --env staging"),
        ("what is no secret may stand here", "mailroom secrets set providers/ses/region eu-west-1 --env staging"),
        (
            "let one be made, and keep it in a file",
            "mailroom secrets set api/keys/billing --generate --out billing.key",
        ),
    ),
)
@in_environment
@click.argument("name", type=Name())
@click.argument("value", required=False)
@click.option("--file", type=click.Path(allow_dash=True), help="Read the value from a file; - is stdin.")
@click.option("--generate", is_flag=True, help="Make a strong one.")
@click.option("--out", metavar="FILE", help="Where a generated one is kept: a new file, or - for a pipe.")
@yes
def set_(
    environment: Environment,
    name: str,
    value: str | None,
    file: str | None,
    generate: bool,
    out: str | None,
    yes: bool,
) -> None:
    """Set the parameter NAME."""
    from mailroom_ops import rotation
    from mailroom_ops.cli import screen
    from mailroom_ops.parameters import Parameters

    new = rotation.generate(name) if generate else given(name, value, file)
    check(name, new)
    store = Parameters(environment)
    before = store.values(folder(name)).get(name)
    if before == new:
        screen.say(f"{name} holds this value already.")
        return
    if before is not None or environment.is_production:
        question = f"{'Replace' if before is not None else 'Set'} {name} in {environment.label}?"
        confirm(environment.label, question, yes or not environment.is_production)
    keep(new, out, generate)
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
    from mailroom_ops import catalog, rotation
    from mailroom_ops.cli import screen
    from mailroom_ops.parameters import Parameters

    setting = catalog.find(name)
    if setting is None or not setting.is_secret or setting.ours:
        raise BadInput(f"{name} is not a secret that can be rotated.", "Change a setting with `mailroom secrets set`.")
    if finish and cancel:
        raise BadInput("--finish keeps the new value and --cancel the old one.", "Give one of them.")
    store = Parameters(environment)
    current = store.values(folder(name)).get(name)
    if not setting.many:
        if finish or cancel:
            raise BadInput(f"{name} holds one value: there is nothing to finish.")
        if current is None:
            raise BadInput(f"{name} is not set, so there is nothing to rotate.", f"Set it: mailroom secrets set {name}")
        new = given(name, None, file)
        check(name, new)
        confirm(environment.label, f"Replace {name} in {environment.label}?", yes or not environment.is_production)
        store.put(name, new)
        screen.say(f"{name} is replaced in {environment.label}. Keep the old one valid for five minutes.")
        return
    if finish or cancel:
        kept = rotation.finish(name, current) if finish else rotation.cancel(name, current)
        question = f"Stop accepting the {'old' if finish else 'new'} value of {name} in {environment.label}?"
        confirm(environment.label, question, yes or not environment.is_production)
        store.put(name, kept)
        screen.say(f"{name} accepts one value again, the {'new' if finish else 'old'} one.")
        return
    theirs = ask or file is not None
    new = given(name, None, file) if theirs else rotation.generate(name)
    check(name, new)
    both = rotation.begin(name, current, new)
    confirm(environment.label, f"Begin to rotate {name} in {environment.label}?", yes or not environment.is_production)
    keep(new, out, not theirs)
    store.put(name, both)
    if out != "-":
        screen.say(f"{name} accepts the new value beside the old one, everywhere within five minutes.")
        screen.say("Put the new one in use then, and end with:")
        screen.note(f"mailroom secrets rotate {name} --finish --env {environment.label}")
