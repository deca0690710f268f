"""`mailroom preview`"""

from pathlib import Path

import click

from mailroom_ops.cli.options import Command


@click.command(
    cls=Command,
    examples=(("write them, and open the page to leaf through", "mailroom preview --out preview"),),
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write every mail there, as files.")
@click.option("--screenshots", type=click.Path(file_okay=False, path_type=Path), help="Take pictures, with Chromium.")
@click.option(
    "--brand", default="acme", show_default=True, type=click.Choice(["plain", "acme", "bright"]), help="In which look."
)
def command(out: Path | None, screenshots: Path | None, brand: str) -> None:
    """Write every kind of mail in every language, from the templates as they are now."""
    from mailroom.rendering.renderer import Renderer
    from mailroom_ops.cli import screen
    from mailroom_ops.errors import InvalidInput
    from mailroom_ops.templates import chromium, preview

    if not (out or screenshots):
        raise InvalidInput("Where to?", "Say --out DIR for files, or --screenshots DIR for pictures.")
    if screenshots and not chromium.find_browser():
        raise InvalidInput(
            "There is no Chromium to take pictures with.", "Install it, or name it: CHROMIUM=/path/to/it."
        )
    gallery = preview.Gallery(renderer=Renderer(preview.TEMPLATES))
    if out:
        count = gallery.write(out, brand)
        screen.say(f"{count} mails are in {out}; open {out / 'index.html'} to leaf through them.")
    if screenshots:
        taken = preview.take_screenshots(screenshots, gallery, brand)
        with screen.progress(taken, preview.SCREENSHOT_COUNT, "pictures") as pictures:
            count = len(list(pictures))
        preview.write_contact_sheet(screenshots / "contact-sheet.jpg", gallery)
        screen.say(f"{count} pictures and a contact sheet are in {screenshots}.")
