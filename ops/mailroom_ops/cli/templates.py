"""`mailroom templates …`"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Group, as_json, confirm_production, in_environment, yes
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.settings.parameters import Parameters

SYSTEMS = ("logto", "supabase", "auth0", "zitadel")
PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)
USABLE_FILES = "They end in .html, .txt or .toml; logos are logo.png and logo-dark.png, or .jpg."
SIGNS = {"create": "+", "change": "~", "remove": "-", "keep": "="}
TENANTS = Path(__file__).parents[3] / "layers" / "templates" / "tenants"


@click.group(
    cls=Group,
    examples=(
        ("store the files of a folder for a tenant", "mailroom templates push texts/ --tenant acme --env staging"),
    ),
)
def command() -> None:
    """Manage a tenant's own templates and texts: in the parameter store, without a deployment."""


of_tenant = click.option("--tenant", required=True, metavar="NAME", help="Tenant that the templates are for.")


@command.command(
    "push",
    examples=(
        ("check the files only", "mailroom templates push texts/ --tenant acme --env staging --check"),
        ("store them without a question", "mailroom templates push texts/ --tenant acme --env production --yes"),
    ),
)
@in_environment
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@of_tenant
@click.option("--check", "only_check", is_flag=True, help="Check the files, and change nothing.")
@yes
@as_json
def push(
    environment: Environment, folder: Path | None, tenant: str, only_check: bool, yes: bool, as_json: bool
) -> None:
    """Store the files of a FOLDER as a tenant's templates and texts.

    They replace the stored ones. FOLDER is structured like layers/templates/tenants/NAME, and is by default this
    one. First every kind is rendered in every language; what cannot be used is not stored.
    """
    from mailroom.rendering.tenant_templates import read_files
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters

    folder = folder or TENANTS / tenant
    files = read_files(folder)
    if not files:
        raise InvalidInput(f"There are no templates in {folder}.", USABLE_FILES)
    _store(Parameters(environment), environment, tenant, files, yes=yes, as_json=as_json, only_check=only_check)


@command.command(
    "logos",
    examples=(
        ("store the logos at the brand's addresses", "mailroom templates logos --tenant acme --env staging"),
        ("store a picture", "mailroom templates logos --tenant acme --light logo.png --env staging"),
        ("have mails refer to the web again", "mailroom templates logos --tenant acme --off --env staging"),
    ),
)
@in_environment
@of_tenant
@click.option("--light", type=PICTURE, metavar="FILE", help="PNG or JPEG; else the one at the brand's logo_url.")
@click.option("--dark", type=PICTURE, metavar="FILE", help="For dark mode; else the one at dark_logo_url, if any.")
@click.option("--off", is_flag=True, help="Remove them, and switch inline_logo off.")
@yes
@as_json
def logos(
    environment: Environment, tenant: str, light: Path | None, dark: Path | None, off: bool, yes: bool, as_json: bool
) -> None:
    """Put a tenant's logos inside its mails.

    They are stored beside its templates, and the brand's inline_logo is switched on.
    """
    from mailroom.model.json_settings import merge
    from mailroom.model.parameter_names import brand_names
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.templates import stored
    from mailroom_ops.templates.logo_files import brand_logos, logo_file, without_logos

    store = Parameters(environment)
    values = store.values()
    pictures: dict[str, str] = {}
    if not off:
        brand = merge(brand_names(tenant), values).all_texts()
        chosen = {"logo": light, "logo-dark": dark}
        addresses = {"logo": "logo_url", "logo-dark": "dark_logo_url"}
        pictures = brand_logos({key: brand.get(key, "") for stem, key in addresses.items() if not chosen[stem]})
        for stem, path in chosen.items():
            pictures |= logo_file(stem, path.read_bytes(), str(path)) if path else {}
        if not any(name.startswith("logo.") for name in pictures):
            raise InvalidInput(f"The brand of {tenant} has no logo_url.", "Name a picture with --light.")
    files = {**without_logos(stored.current_files(tenant, values)), **pictures}
    _store(store, environment, tenant, files, yes=yes, as_json=as_json, inline_logo=not off)


@command.command("list")
@in_environment
@click.option("--tenant", default="", metavar="NAME", help="Show the versions of this tenant's files.")
@as_json
def list_(environment: Environment, tenant: str, as_json: bool) -> None:
    """List tenants with stored templates, or a tenant's versions.

    The newest version is in use. SSM keeps a hundred.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.templates import stored

    store = Parameters(environment)
    if tenant:
        versions = stored.versions(store, tenant)
        header: tuple[str, ...] = ("version", "stored", "by", "files")
        rows: list[tuple[str, ...]] = [
            (str(v.number), f"{v.changed:%Y-%m-%d %H:%M}", v.author, v.fault or ", ".join(v.files) or "no files")
            for v in versions
        ]
        values: list[dict[str, object]] = [
            {"version": v.number, "stored": v.changed.isoformat(), "by": v.author, "files": list(v.files)}
            for v in versions
        ]
    else:
        header, rows, values = ("tenant", "version", "files"), [], []
        for name, parameter in store.all("templates").items():
            owner = name.partition("/")[2]
            files = list(stored.current_files(owner, {name: parameter.value}))
            rows.append((owner, str(parameter.version), ", ".join(files) or "no files"))
            values.append({"tenant": owner, "version": parameter.version, "files": files})
    if as_json:
        screen.emit_json(values)
        return
    screen.table(header, rows)
    if not rows:
        screen.say(f"{tenant or environment.label} has no stored templates. Store some with `mailroom templates push`.")


@command.command(
    "rollback",
    examples=(("store an older version again", "mailroom templates rollback --tenant acme --to 3 --env staging"),),
)
@in_environment
@of_tenant
@click.option("--to", "number", type=click.IntRange(min=0), metavar="VERSION", help="Else the one before; 0: no files.")
@yes
@as_json
def rollback(environment: Environment, tenant: str, number: int | None, yes: bool, as_json: bool) -> None:
    """Store an older version of a tenant's files again.

    It is checked like files that are pushed, and becomes the newest version.
    """
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.templates import stored

    store = Parameters(environment)
    files: Mapping[str, str] = {}
    if number != 0:
        version = stored.find_version(store, tenant, number)
        if version.fault:
            raise InvalidInput(f"Version {version.number} cannot be read: {version.fault}.")
        files = version.files
    _store(store, environment, tenant, files, yes=yes, as_json=as_json)


@command.command("pull")
@in_environment
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@of_tenant
@click.option("--version", "number", type=click.IntRange(min=1), metavar="VERSION", help="Else the newest.")
@click.option("--replace", is_flag=True, help="Overwrite existing files.")
@as_json
def pull(environment: Environment, folder: Path, tenant: str, number: int | None, replace: bool, as_json: bool) -> None:
    """Write a tenant's stored files to a FOLDER."""
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.templates import stored
    from mailroom_ops.templates.imported import Imported, write

    store = Parameters(environment)
    if number is None:
        files = stored.current_files(tenant, store.values("templates"))
    else:
        files = stored.find_version(store, tenant, number).files
    if not files:
        raise InvalidInput(f"{tenant} has no stored files in {environment.label}.")
    written = write(Imported(files, ()), folder, replace=replace)
    if as_json:
        screen.emit_json({"tenant": tenant, "files": [str(file) for file in written]})
        return
    for file in written:
        screen.emit(f"  {file}")


def _store(
    store: "Parameters",
    environment: Environment,
    tenant: str,
    files: Mapping[str, str],
    *,
    yes: bool,
    as_json: bool,
    only_check: bool = False,
    inline_logo: bool | None = None,
) -> None:
    """Check files, show the plan and carry it out."""
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings import changes, tenants
    from mailroom_ops.templates import preview, stored
    from mailroom_ops.templates.logo_files import file_size

    values = store.values()
    planned = stored.file_plan(tenant, files, values, inline_logo=inline_logo)
    result = stored.check(tenant, files, values, preview.TEMPLATES)
    for note in result.warnings:
        screen.warn(note)
    if result.errors:
        raise InvalidInput("These files cannot be used, and nothing is stored.", "", list(result.errors))
    compared = stored.compare_files(stored.current_files(tenant, values), files)
    if not as_json:
        screen.say(f"{tenant} in {environment.label}")
        for change in compared:
            size = "removed" if change.new is None else f"{file_size(change.name, change.new)} bytes"
            screen.say(f"  {SIGNS[change.act]} {change.name}  {'unchanged' if change.act == 'keep' else size}")
    is_stored = not only_check and bool(changes.pending(planned))
    if is_stored:
        confirm_production(environment, f"Store the templates of {tenant} in {environment.label}?", yes)
        tenants.apply(store, planned)
    if as_json:
        acts = [{"name": change.name, "act": change.act} for change in compared]
        screen.emit_json({"tenant": tenant, "files": acts, "stored": is_stored})
    elif is_stored:
        screen.say(f"Stored. Functions read changes {environment.settings_delay}.")
    else:
        screen.say("The files pass all checks." if only_check else "Nothing changes.")


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
@as_json
def import_(path: Path, tenant: str, system: str, folder: Path | None, replace: bool, as_json: bool) -> None:
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
    for note in imported.notes:
        screen.warn(note)
    if as_json:
        screen.emit_json({"tenant": tenant, "files": list(map(str, written))})
        return
    for file in written:
        screen.emit(f"  {file}")
    screen.say(
        f"{len(written)} files are written. They take effect with the next deployment; preview them with `make run`."
    )
