"""`mailroom secrets …`"""

import click

from mailroom_ops.cli import secrets_import, secrets_write
from mailroom_ops.cli.options import Group, as_json, confirm, in_environment, yes
from mailroom_ops.cli.value import Name, parent
from mailroom_ops.environment import LABELS, Environment


@click.group(
    cls=Group,
    examples=(
        ("import the file of an older system", "mailroom secrets import passwords.yaml --env staging"),
        ("list all parameters, and which are malformed", "mailroom secrets list --env staging"),
        ("set a key: it is prompted for", "mailroom secrets set providers/resend/api_key --env staging"),
    ),
)
def command() -> None:
    """Manage the secrets and settings of an environment, in the AWS parameter store under /mailroom/ENV/.

    No secret is ever shown, and none is accepted on the command line, because the shell's history would keep it: type
    it when prompted, pipe it in, or name a file.
    """


command.add_command(secrets_import.command)


@command.command(
    "list",
    examples=(("list the settings of providers", "mailroom secrets list providers --env staging"),),
)
@in_environment
@click.argument("path", default="")
@as_json
def list_(environment: Environment, path: str, as_json: bool) -> None:
    """List the parameters below PATH, and their faults.

    Of a secret only its length is shown.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog, changes
    from mailroom_ops.settings.parameters import Parameters

    path = path.strip("/")
    store = Parameters(environment)
    parameters = store.all(path)
    if not parameters:  # the path may be that of one parameter
        parameters = {name: parameter for name, parameter in store.all(parent(path)).items() if name == path}
    faults = {name: catalog.fault(name, parameter.value) for name, parameter in parameters.items()}
    if as_json:
        items = [
            {
                "name": name,
                "value": changes.described(name, parameter.value),
                "fault": faults[name],
                "version": parameter.version,
                "changed": parameter.changed.isoformat(timespec="seconds"),
            }
            for name, parameter in parameters.items()
        ]
        screen.emit_json(items)
        return
    rows = [
        (
            name,
            f"{parameter.changed:%Y-%m-%d}",
            changes.described(name, parameter.value) + (f": {faults[name]}" if faults[name] else ""),
        )
        for name, parameter in parameters.items()
    ]
    screen.table(("name", "changed", "value"), rows)
    if not parameters:
        screen.say(f"Nothing is set below /mailroom/{environment.name}/{path}".rstrip("/") + ".")


@command.command("names")
@as_json
def names(as_json: bool) -> None:
    """List every parameter that Mailroom reads."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import catalog

    if as_json:
        settings = catalog.settings()
        screen.emit_json(
            [{"name": setting.shape, "about": setting.about, "is_secret": setting.is_secret} for setting in settings]
        )
        return
    screen.table(("name", "description"), [(setting.shape, setting.about) for setting in catalog.settings()])


command.add_command(secrets_write.set_)
command.add_command(secrets_write.rotate)


@command.command("remove")
@in_environment
@click.argument("name", type=Name())
@yes
@as_json
def remove(environment: Environment, name: str, yes: bool, as_json: bool) -> None:
    """Delete the parameter NAME. Its value cannot be restored."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings.parameters import Parameters

    store = Parameters(environment)
    exists = name in store.values(parent(name))
    if exists:
        confirm(environment.label, f"Delete {name} from {environment.label}?", yes)
        store.delete([name])
    if as_json:
        screen.emit_json({"name": name, "removed": exists})
    else:
        screen.say(f"{name} {'is deleted from' if exists else 'is not set in'} {environment.label}.")


@command.command(
    "diff",
    examples=(("show what production lacks, and which secrets it shares", "mailroom secrets diff staging production"),),
)
@click.argument("left", type=click.Choice(LABELS))
@click.argument("right", type=click.Choice(LABELS))
@click.option("--profile", metavar="NAME", help="AWS profile of LEFT.")
@click.option("--to-profile", metavar="NAME", help="AWS profile of RIGHT, if it differs.")
@click.option("--region", metavar="NAME", envvar="AWS_REGION", help="AWS region of both; else the profile's.")
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
    """Compare the parameters of two environments. Exits with 1 if they differ. Of a secret only its length is shown."""
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import changes, promote
    from mailroom_ops.settings.parameters import Parameters

    values = [
        Parameters(Environment(label, p, region)).values()
        for label, p in ((left, profile), (right, to_profile or profile))
    ]
    differences = promote.differences(*values)
    states = {"only left": f"only in {left}", "only right": f"only in {right}"}
    if as_json:
        screen.emit_json([{"name": d.name, "is": d.state, "shared_secret": d.is_shared_secret} for d in differences])
    else:
        rows = []
        for difference in differences:
            values_shown = [changes.described(difference.name, value) for value in (difference.left, difference.right)]
            detail = " | ".join(values_shown) if difference.state == "differs" else next(filter(None, values_shown), "")
            rows.append((states.get(difference.state, difference.state), f"{difference.name}  {detail}"))
        screen.table(("", "name"), rows)
        for difference in differences:
            if difference.is_shared_secret:
                screen.warn(f"{difference.name} is the same secret in both: give each environment its own.")
        if not differences:
            screen.say("Both are empty.")
    ctx.exit(int(any(difference.state != "same" for difference in differences)))
