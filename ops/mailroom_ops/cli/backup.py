"""`mailroom backup`"""

import os
import sys
from pathlib import Path

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

MIN_PASSPHRASE_LENGTH = 12


@click.command(
    cls=Command,
    examples=(
        ("settings, and the key of the ledger's hashes", "mailroom backup production.json --env production"),
        ("all secrets as well", "mailroom backup production.json --env production --with-secrets"),
    ),
)
@in_environment
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-secrets", is_flag=True, help="Include every secret, encrypted.")
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase; else MAILROOM_PASSPHRASE, or a prompt.",
)
@as_json
def command(
    environment: Environment, file: Path, with_secrets: bool, passphrase_file: Path | None, as_json: bool
) -> None:
    """Write the parameters of an environment into FILE.

    Settings are readable there, secrets are encrypted with a passphrase. The key of the ledger's address hashes is
    always included: without it, a restored ledger knows no suppression.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings import backup
    from mailroom_ops.settings.parameters import Parameters

    values = Parameters(environment).values()
    passphrase = read_passphrase(passphrase_file, is_new=True)
    text = backup.make(environment.label, values, passphrase, with_secrets=with_secrets)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    content = backup.parse(text, passphrase)
    if as_json:
        names = {"parameters": sorted(content.values), "missing": list(content.missing)}
        screen.emit_json({"file": str(file), **names, "has_address_key": content.has_address_key})
        return
    screen.say(f"{len(content.values)} of {len(values)} parameters of {environment.label} are in {file}.")
    if content.missing:
        screen.say("Secrets that are not in it, and would have to be set again (or use --with-secrets):")
        screen.table(("name",), [(name,) for name in content.missing])
    if not content.has_address_key:
        screen.warn("The environment has no address key yet: back it up again once it has sent a mail.")
    screen.say("Keep the passphrase apart from the file: nobody can read its secrets without.")


def read_passphrase(file: Path | None, *, is_new: bool) -> str:
    """Return the passphrase from a file, the environment or a prompt; refuse a short new one."""
    from mailroom_ops.errors import ConfirmationRequired, InvalidInput

    passphrase = file.read_text(encoding="utf-8").strip() if file else os.environ.get("MAILROOM_PASSPHRASE", "")
    if not passphrase:
        if not sys.stdin.isatty():
            raise ConfirmationRequired("There is no passphrase.", "Set MAILROOM_PASSPHRASE, or use --passphrase-file.")
        passphrase = str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True))
    if is_new and len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise InvalidInput(f"The passphrase is shorter than {MIN_PASSPHRASE_LENGTH} characters.", "Use several words.")
    return passphrase
