"""`mailroom secrets import`"""

import json
from pathlib import Path
from typing import BinaryIO

import click

from mailroom_ops.cli.options import Command, as_json, confirm, yes
from mailroom_ops.environment import LABELS, LOCAL, Environment


@click.command(
    "import",
    cls=Command,
    examples=(
        (
            "show what would change, and change nothing",
            "mailroom secrets import passwords.yaml --env staging --dry-run",
        ),
        ("import every environment in the file", "mailroom secrets import passwords.yaml --env all"),
        ("import a .env file, which is one environment", "mailroom secrets import .env --env development"),
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--env", "label", type=click.Choice([*LABELS, "all"]), required=True, help="Environment to import into.")
@click.option(
    "--format", "format_", type=click.Choice(["yaml", "env"]), help="Format, if it is not clear from the file name."
)
@click.option("--dry-run", is_flag=True, help="Show the changes and stop.")
@click.option("--profile", metavar="NAME", help="AWS profile; else AWS_PROFILE.")
@click.option("--region", metavar="NAME", envvar="AWS_REGION", help="AWS region; else the profile's.")
@yes
@as_json
def command(
    file: BinaryIO,
    label: str,
    format_: str | None,
    dry_run: bool,
    profile: str | None,
    region: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Import a passwords.yaml or .env FILE of an older system.

    Keys: resendApiKey, resendFromEmail, smtpHost, smtpPort, smtpUsername, smtpPassword, smtpTls and smtpFrom, below
    `development:`, `staging:` and `production:`; in a .env file RESEND_API_KEY, RESEND_FROM_APP_AUTH, SMTP_HOST and so
    on. docs/secrets.md lists every spelling. A file with any fault changes nothing.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.secrets_import import plan, reader
    from mailroom_ops.settings.parameters import Parameters

    name = Path(file.name).name
    content = file.read(reader.MAX_BYTES + 1)
    if len(content) > reader.MAX_BYTES:
        content += file.read()  # the error names the size
    blocks = reader.read(content, name, reader.Format(format_) if format_ else reader.detect_format(name))
    block_name = "development" if label == LOCAL and "" not in blocks else label
    selected = plan.select(blocks, block_name, name)
    environments = {key: Environment(LOCAL if label == LOCAL else key, profile, region) for key in selected}
    stores = {key: Parameters(environment) for key, environment in environments.items()}
    plans = {key: plan.plan(selected[key], stores[key].values()) for key in selected}
    count = sum(len(planned.to_write) for planned in plans.values())
    if as_json:
        report = {
            key: {"changes": [change.to_json() for change in planned.changes], "notes": planned.notes}
            for key, planned in plans.items()
        }
        screen.emit(json.dumps(report))
    else:
        for key, planned in plans.items():
            screen.say(f"{name} → {environments[key].label}")
            screen.plan(planned.changes)
            for note in planned.notes:
                screen.note(note)
        for warning in plan.shared_secrets(selected):
            screen.warn(warning)
    if dry_run or not count:
        if not as_json:
            screen.say(f"{count} to write. Nothing was changed: this is a dry run." if count else "Nothing to change.")
        return
    strictest = "production" if "production" in plans and label != LOCAL else label
    confirm(strictest, f"Write {count} {'parameter' if count == 1 else 'parameters'}?", yes)
    for key, planned in plans.items():
        stores[key].write(planned.to_write)
    if not as_json:
        delay = next(iter(environments.values())).settings_delay
        screen.say(f"Written: {count}. Functions read changes {delay}.")
