"""`mailroom restore`"""

from pathlib import Path

import click

from mailroom_ops.cli.backup import read_passphrase
from mailroom_ops.cli.options import Command, as_json, confirm, in_environment, yes
from mailroom_ops.environment import Environment


@click.command(
    cls=Command,
    examples=(("show the changes, write nothing", "mailroom restore production.json --env production --dry-run"),),
)
@in_environment
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the changes and stop.")
@click.option(
    "--replace-address-key", is_flag=True, help="Replace another address key: its ledger is the one that is restored."
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase; else MAILROOM_PASSPHRASE, or a prompt.",
)
@yes
@as_json
def command(
    environment: Environment,
    file: Path,
    dry_run: bool,
    replace_address_key: bool,
    passphrase_file: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Write the parameters of the backup FILE into the environment that it was made of.

    Parameters that the backup does not contain stay as they are.
    """
    from mailroom.model.parameter_names import ADDRESS_KEY
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import backup, changes
    from mailroom_ops.settings.parameters import Parameters

    text = file.read_text(encoding="utf-8")
    content = backup.parse(text, read_passphrase(passphrase_file, is_new=False) if backup.is_encrypted(text) else "")
    if content.environment != environment.label:
        todo = f"Use --env {content.environment}; `mailroom promote` copies settings between environments."
        raise InvalidInput(f"This is a backup of {content.environment}, not of {environment.label}.", todo)
    store = Parameters(environment)
    current = store.values()
    values = dict(content.values)
    if not replace_address_key and current.get(ADDRESS_KEY) not in (None, values.get(ADDRESS_KEY)):
        screen.warn(
            "The environment has another address key, which stays: with that of the backup, its present ledger would "
            "know no suppression. If the ledger is restored too, use --replace-address-key."
        )
        values.pop(ADDRESS_KEY, None)
    planned = changes.compare(current, values)
    to_write = changes.pending(planned)
    missing = [name for name in content.missing if name not in current]
    if as_json:
        screen.emit_json({"changes": [change.to_json() for change in planned], "missing": missing, "dry_run": dry_run})
    else:
        screen.say(f"backup of {content.environment}, {content.made_at}")
        screen.plan(planned)
        if missing:
            screen.say("Secrets that neither the backup nor the environment has:")
            screen.table(("name",), [(name,) for name in missing])
    if dry_run or not to_write:
        if not as_json:
            screen.say("Nothing to change." if not to_write else "Nothing was changed: this is a dry run.")
        return
    count = f"{len(to_write)} {'parameter' if len(to_write) == 1 else 'parameters'}"
    confirm(environment.label, f"Write {count} to {environment.label}?", yes)
    store.write({change.name: change.new for change in to_write if change.new is not None})
    if not as_json:
        screen.say(f"Written: {len(to_write)}. Check with `mailroom doctor --env {environment.label}`.")
