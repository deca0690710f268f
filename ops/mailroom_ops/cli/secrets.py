"""`mailroom secrets …`"""

import json

import click

from mailroom_ops.cli import secrets_import, secrets_write
from mailroom_ops.cli.options import Group, as_json, confirm, in_environment, yes
from mailroom_ops.cli.value import Name, folder
from mailroom_ops.environment import LABELS, Environment


@click.group(
    cls=Group,
    examples=(
        ("take over an older system's file", "mailroom secrets import passwords.yaml --env staging"),
        ("what is set, and whether it is well formed", "mailroom secrets list --env staging"),
        ("set a key: you are asked for it", "mailroom secrets set providers/resend/api_key --env staging"),
    ),
)
def command() -> None:
    """Secrets and settings of an environment, in the parameter store of AWS under /mailroom/ENV/.

    No secret is ever shown, and none is taken from the command line, where the shell's history would keep it: type it
    when asked, pipe it in, or name a file.
    """


command.add_command(secrets_import.command)


@command.command(
    "list",
    examples=(("only the providers", "mailroom secrets list providers --env staging"),),
)
@in_environment
@click.argument("path", default="")
@as_json
def list_(environment: Environment, path: str, as_json: bool) -> None:
    """List what is set below PATH, and what of it is malformed.

    Of a secret it tells how many characters it has, of a setting what it says.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog, changes
    from mailroom_ops.settings.parameters import Parameters

    found = Parameters(environment).all(path.strip("/"))
    faults = {name: catalog.fault(name, parameter.value) for name, parameter in found.items()}
    if as_json:
        items = [
            {
                "name": name,
                "value": changes.described(name, parameter.value),
                "fault": faults[name],
                "version": parameter.version,
                "changed": parameter.changed.isoformat(timespec="seconds"),
            }
            for name, parameter in found.items()
        ]
        screen.emit(json.dumps(items, ensure_ascii=False))
        return
    rows = [
        (
            name,
            f"{parameter.changed:%Y-%m-%d}",
            changes.described(name, parameter.value) + (f": {faults[name]}" if faults[name] else ""),
        )
        for name, parameter in found.items()
    ]
    screen.table(("name", "changed", "holds"), rows)
    if not found:
        screen.say(f"Nothing is set below /mailroom/{environment.name}/{path}".rstrip("/") + ".")


@command.command("names")
def names() -> None:
    """List every name that Mailroom reads, and what it is for."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog

    screen.table(("name", "what it is"), [(setting.shape, setting.about) for setting in catalog.settings()])


command.add_command(secrets_write.set_)
command.add_command(secrets_write.rotate)


@command.command("remove")
@in_environment
@click.argument("name", type=Name())
@yes
def remove(environment: Environment, name: str, yes: bool) -> None:
    """Remove the parameter NAME; what it held is gone."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    if name not in store.values(folder(name)):
        screen.say(f"{name} is not set in {environment.label}.")
        return
    confirm(environment.label, f"Remove {name} from {environment.label}?", yes)
    store.delete([name])
    screen.say(f"{name} is removed from {environment.label}.")


@command.command(
    "diff",
    examples=(("what production lacks, and which secrets it shares", "mailroom secrets diff staging production"),),
)
@click.argument("left", type=click.Choice(LABELS))
@click.argument("right", type=click.Choice(LABELS))
@click.option("--profile", metavar="NAME", help="AWS profile of LEFT.")
@click.option("--to-profile", metavar="NAME", help="AWS profile of RIGHT, if it is another.")
@click.option("--region", metavar="NAME", help="AWS region of both.")
@as_json
@click.pass_context
def diff(
    ctx: click.Context,
    left: str,
    right: str,
    profile: str | None,
    to_profile: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Compare two environments, name by name. Exits with 1 where they differ. No value of a secret is shown."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import changes, promote
    from mailroom_ops.settings.parameters import Parameters

    values = [
        Parameters(Environment(label, p, region)).values()
        for label, p in ((left, profile), (right, to_profile or profile))
    ]
    found = promote.differences(*values)
    words = {"only left": f"only in {left}", "only right": f"only in {right}"}
    if as_json:
        screen.emit(json.dumps([{"name": d.name, "is": d.word, "shared_secret": d.is_shared_secret} for d in found]))
    else:
        rows = []
        for difference in found:
            said = words.get(difference.word, difference.word)
            one, other = (
                changes.described(difference.name, difference.left),
                changes.described(difference.name, difference.right),
            )
            detail = f"{one} | {other}" if difference.word == "differs" else one or other
            rows.append((said, f"{difference.name}  {detail}"))
        screen.table(("", "name"), rows)
        for difference in found:
            if difference.is_shared_secret:
                screen.warn(f"{difference.name} is one secret in both: give each environment its own.")
        if not found:
            screen.say("Both are empty.")
    ctx.exit(int(any(d.word != "same" for d in found)))
