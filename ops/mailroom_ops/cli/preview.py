"""`mailroom preview`"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailroom_ops.cli.options import Command, as_json, in_environment
from mailroom_ops.environment import Environment

if TYPE_CHECKING:
    from mailroom_ops.templates.tenant_samples import TenantSample


@click.command(
    cls=Command,
    examples=(
        ("write all mails, with an index page", "mailroom preview --out preview"),
        ("the same with the brand and texts of a tenant", "mailroom preview --out preview --tenant acme --env staging"),
    ),
)
@in_environment
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the mails as files to this folder."
)
@click.option(
    "--screenshots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Take screenshots into this folder, with Chromium.",
)
@click.option(
    "--brand",
    default="acme",
    show_default=True,
    type=click.Choice(["plain", "acme", "bright"]),
    help="Sample brand of the mails.",
)
@click.option("--tenant", default="", metavar="NAME", help="Use the brand, sender and texts of this tenant instead.")
@as_json
def command(
    environment: Environment, out: Path | None, screenshots: Path | None, brand: str, tenant: str, as_json: bool
) -> None:
    """Render every kind of mail in every language from the current templates.

    An environment is needed for a --tenant only, whose settings are read from it.
    """
    from mailroom.rendering.renderer import Renderer
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.templates import chromium, preview

    if not (out or screenshots):
        raise InvalidInput("There is no output folder.", "Use --out DIR for files, or --screenshots DIR.")
    if screenshots and not chromium.find_browser():
        raise InvalidInput("Chromium was not found.", "Install it, or name it with CHROMIUM=/path/to/chromium.")
    look = _tenant(environment, tenant) if tenant else brand
    gallery = preview.Gallery(renderer=Renderer(preview.TEMPLATES))
    if out:
        count = gallery.write(out, look)
        if not as_json:
            screen.say(f"{count} mails are in {out}; open {out / 'index.html'}.")
    if screenshots:
        taken = preview.take_screenshots(screenshots, gallery, look)
        with screen.progress(taken, preview.SCREENSHOT_COUNT, "screenshots") as pictures:
            count = len(list(pictures))
        preview.write_contact_sheet(screenshots / "contact-sheet.jpg", gallery)
        if not as_json:
            screen.say(f"{count} screenshots and a contact sheet are in {screenshots}.")
    if as_json:
        folders = {"out": out, "screenshots": screenshots}
        screen.emit_json({name: str(folder) for name, folder in folders.items() if folder})


def _tenant(environment: Environment, name: str) -> "TenantSample":
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.settings.parameters import Parameters
    from mailroom_ops.templates.tenant_samples import tenant_samples

    samples = tenant_samples(Parameters(environment).values())
    if name not in samples:
        raise InvalidInput(f"There is no tenant {name} in {environment.label}.", "`mailroom tenant list` shows all.")
    return samples[name]
