"""`mailroom templates …`"""

import json
from pathlib import Path
from typing import TextIO

import click

from mailroom_ops.cli.options import Group

TENANTS = Path(__file__).parents[3] / "layers" / "templates" / "tenants"


@click.group(cls=Group)
def command() -> None:
    """Manage a tenant's own templates."""


@command.command(
    "import",
    examples=(("import the answer of Logto's API", "mailroom templates import logto-templates.json --tenant acme"),),
)
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--tenant", required=True, metavar="NAME", help="Tenant that the templates are for.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write to this folder instead of this checkout.",
)
@click.option("--replace", is_flag=True, help="Overwrite existing templates.")
def import_(file: TextIO, tenant: str, folder: Path | None, replace: bool) -> None:
    """Import Logto's own templates from a JSON FILE.

    FILE is an answer of `/api/email-templates` or a connector's configuration. Warns about variables that Logto never
    sends.
    """
    import re

    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import catalog
    from mailroom_ops.templates import logto_import

    if not re.fullmatch(catalog.TENANT, tenant):
        raise InvalidInput(f"{tenant!r} is not a valid name of a tenant.", "Use a-z, 0-9 and -, such as acme.")
    try:
        document = json.load(file)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"{file.name} is not JSON{where}.") from error
    imported = logto_import.read(document)
    written = logto_import.write(imported, folder or TENANTS / tenant, replace=replace)
    for path in written:
        screen.emit(f"  {path}")
    for note in imported.notes:
        screen.warn(note)
    screen.say(
        f"{len(written)} files are written. They take effect with the next deployment; preview them with `make run`."
    )
