"""`mailroom templates …`"""

import json
from pathlib import Path
from typing import TextIO

import click

from mailroom_ops.cli.options import Group

TENANTS = Path(__file__).parents[3] / "layers" / "templates" / "tenants"


@click.group(cls=Group)
def command() -> None:
    """A tenant's own templates."""


@command.command(
    "import",
    examples=(("what Logto's API shows", "mailroom templates import logto-templates.json --tenant acme"),),
)
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--tenant", required=True, metavar="NAME", help="Whose templates they become.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write them there, and not into this checkout.",
)
@click.option("--replace", is_flag=True, help="Write over templates that are there.")
def import_(file: TextIO, tenant: str, folder: Path | None, replace: bool) -> None:
    """Take over Logto's own templates from a JSON FILE.

    It may be what `/api/email-templates` answers, or a connector's configuration. Says which variables never come.
    """
    import re

    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import catalog
    from mailroom_ops.templates import logto_import

    if not re.fullmatch(catalog.TENANT, tenant):
        raise InvalidInput(f"{tenant!r} cannot be the name of a tenant.", "Use a-z, 0-9 and -, such as acme.")
    try:
        document = json.load(file)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"{file.name} is not JSON{where}.") from error
    imported = logto_import.read(document)
    written = logto_import.write(imported, folder or TENANTS / tenant, replace=replace)
    for path in written:
        screen.emit(f"  {path}")
    for said in imported.notes:
        screen.warn(said)
    screen.say(
        f"{len(written)} files are written. They take effect with the next deployment; look at them in `make run`."
    )
