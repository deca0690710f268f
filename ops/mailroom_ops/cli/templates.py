"""`mailroom templates …`"""

from pathlib import Path

import click

from mailroom_ops.cli.options import Group

SYSTEMS = ("logto", "supabase", "auth0", "zitadel")
TENANTS = Path(__file__).parents[3] / "layers" / "templates" / "tenants"


@click.group(cls=Group)
def command() -> None:
    """Manage a tenant's own templates."""


@command.command(
    "import",
    examples=(
        ("import the answer of Logto's API", "mailroom templates import logto-templates.json --tenant acme"),
        ("import those of Supabase", "mailroom templates import supabase/config.toml --from supabase --tenant acme"),
    ),
)
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", required=True, metavar="NAME", help="Tenant that the templates are for.")
@click.option("--from", "system", type=click.Choice(SYSTEMS), default="logto", show_default=True, help="Their system.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write to this folder instead of this checkout.",
)
@click.option("--replace", is_flag=True, help="Overwrite existing templates.")
def import_(path: Path, tenant: str, system: str, folder: Path | None, replace: bool) -> None:
    """Import the templates of another system from a FILE.

    \b
    logto     an answer of /api/email-templates, or a connector's configuration
    supabase  the Management API's config/auth as JSON, or supabase/config.toml
    auth0     the Management API's email-templates, or a file of the Deploy CLI
    zitadel   a translation file such as de.yaml, or init.de.json of the API

    Warns about variables that Mailroom does not get, and about templates that it cannot convert.
    """
    import re
    from importlib import import_module

    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import catalog
    from mailroom_ops.templates.imported import write

    if not re.fullmatch(catalog.TENANT, tenant):
        raise InvalidInput(f"{tenant!r} is not a valid name of a tenant.", "Use a-z, 0-9 and -, such as acme.")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8.") from error
    imported = import_module(f"mailroom_ops.templates.{system}_import").read(text, path)
    written = write(imported, folder or TENANTS / tenant, replace=replace)
    for file in written:
        screen.emit(f"  {file}")
    for note in imported.notes:
        screen.warn(note)
    screen.say(
        f"{len(written)} files are written. They take effect with the next deployment; preview them with `make run`."
    )
