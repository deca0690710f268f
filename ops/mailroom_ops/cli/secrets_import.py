"""`mailroom secrets import`"""

import json
from pathlib import Path
from typing import BinaryIO

import click

from mailroom_ops.cli.options import Command, as_json, confirm, yes
from mailroom_ops.environment import LABELS, Environment


@click.command(
    "import",
    cls=Command,
    examples=(
        ("see what would change, and change nothing", "mailroom secrets import passwords.yaml --env staging --dry-run"),
        ("every environment of the file", "mailroom secrets import passwords.yaml --env all"),
        ("a .env file is one environment", "mailroom secrets import .env --env development"),
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--env", "label", type=click.Choice([*LABELS, "all"]), required=True, help="Which environment.")
@click.option(
    "--format", "form", type=click.Choice(["yaml", "env"]), help="How it is written, if its name does not say."
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--profile", metavar="NAME", help="AWS profile; else AWS_PROFILE.")
@click.option("--region", metavar="NAME", help="AWS region; else the profile's.")
@yes
@as_json
def command(
    file: BinaryIO,
    label: str,
    form: str | None,
    dry_run: bool,
    profile: str | None,
    region: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Take over a passwords.yaml or a .env FILE.

    It knows resendApiKey, resendFromEmail, smtpHost, smtpPort, smtpUsername, smtpPassword, smtpTls and smtpFrom, below
    `development:`, `staging:` and `production:`; in a .env file RESEND_API_KEY, RESEND_FROM_APP_AUTH and SMTP_HOST
    and so on. docs/secrets.md has every spelling. A file with any fault changes nothing.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.secrets_import import plan, reader
    from mailroom_ops.settings.parameters import Parameters

    name = Path(file.name).name
    content = file.read(reader.LARGEST + 1)
    if len(content) > reader.LARGEST:
        content += file.read()
    found = reader.read(content, name, reader.Form(form) if form else reader.form_of(name))
    asked = plan.chosen(found, "development" if label == "local" and "" not in found else label, name)
    environments = {key: Environment("local" if label == "local" else key, profile, region) for key in asked}
    stores = {key: Parameters(environment) for key, environment in environments.items()}
    steps = {key: plan.plan(asked[key], stores[key].values()) for key in asked}
    to_write = sum(len(step.to_write) for step in steps.values())
    if as_json:
        screen.emit(
            json.dumps(
                {
                    key: {"changes": [c.to_json() for c in step.changes], "notes": step.notes}
                    for key, step in steps.items()
                }
            )
        )
    else:
        for key, step in steps.items():
            screen.say(f"{name} → {environments[key].label}")
            screen.plan(step.changes)
            for said in step.notes:
                screen.note(said)
        for said in plan.shared(asked):
            screen.warn(said)
    if dry_run or not to_write:
        if not as_json:
            screen.say(
                "Nothing to change."
                if not to_write
                else f"{to_write} to write. Nothing was changed: this is a dry run."
            )
        return
    strictest = "production" if "production" in steps and label != "local" else label
    confirm(strictest, f"Write {to_write} {'parameter' if to_write == 1 else 'parameters'}?", yes)
    for key, step in steps.items():
        stores[key].write(step.to_write)
    if not as_json:
        screen.say(f"Written: {to_write}. Functions read them within five minutes.")
