"""The value of a parameter: where it may come from, and where a new one may go."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput

__all__ = ["Name", "check", "folder", "given", "kept"]


class Name(click.ParamType[str]):
    """The name of a parameter, relative to /mailroom/ENV/; one that Mailroom does not read is refused."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        import difflib

        from mailroom_ops.settings import catalog

        name = value.strip().removeprefix("/").removesuffix("/")
        for label in DEPLOYED:
            name = name.removeprefix(f"mailroom/{label}/")
        if catalog.find(name) is None:
            near = difflib.get_close_matches(name, [setting.shape for setting in catalog.settings()], n=1, cutoff=0.5)
            hint = f" Did you mean one like {near[0]}?" if near else ""
            self.fail(f"Mailroom reads no parameter {name}.{hint} `mailroom secrets names` lists them.", param, ctx)
        return name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from mailroom_ops.settings import catalog

        shapes = (
            setting.shape.replace("[/<tenant>]", "").replace("[.<tenant>]", "").replace("<tenant>", "default")
            for setting in catalog.settings(incomplete)
        )
        return [CompletionItem(shape) for shape in shapes if shape.startswith(incomplete)]


def folder(name: str) -> str:
    return name.rpartition("/")[0]


def given(name: str, value: str | None, file: str | None) -> str:
    """Take a value from where it may come from: an argument only for what is no secret."""
    from mailroom_ops.settings import catalog

    setting = catalog.find(name)
    if value is not None:
        if setting is None or setting.is_secret:
            raise InvalidInput(
                "A secret on the command line stays in your shell's history: it is not taken from there.",
                "Leave it out and type it when asked, pipe it in, or use --file. This one should now be replaced.",
            )
        return value.strip()
    if file is not None and file != "-":
        return _content(file).strip()
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    hidden = setting is None or setting.is_secret
    return str(click.prompt(name, hide_input=hidden, confirmation_prompt=False, err=True)).strip()


def check(name: str, value: str) -> None:
    from mailroom_ops.settings import catalog

    setting = catalog.find(name)
    if setting and setting.ours:
        raise InvalidInput(
            f"{name} is made by Mailroom itself, once.", "Changing it would cut the ledger off from its past."
        )
    if fault := catalog.fault(name, value):
        raise InvalidInput(f"{name} was not set: {fault}.")


@contextmanager
def kept(value: str, out: str | None, is_new: bool) -> Iterator[None]:
    """Hand a value made here to the operator once the block succeeds: in a file for their eyes, or down a pipe."""
    if not is_new:
        if out:
            raise InvalidInput("--out keeps a value that is made here, and this one is yours.", "Leave --out away.")
        yield
    elif not out:
        raise InvalidInput(
            "Where should the new value go? It is not shown here.", "Add --out FILE, or --out - and a pipe."
        )
    elif out == "-":
        if sys.stdout.isatty():
            raise InvalidInput(
                "A terminal keeps what it has shown.", "Pipe it on, for example to `pbcopy`, or use --out FILE."
            )
        yield
        click.echo(value)
    else:
        _write(out, value)
        try:
            yield
        except BaseException:
            os.unlink(out)  # it opens nothing
            raise


def _write(file: str, value: str) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{value}\n")
    except FileExistsError as error:
        raise InvalidInput(f"{file} exists already.", "Name a new file.") from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}.") from error


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text.") from error
