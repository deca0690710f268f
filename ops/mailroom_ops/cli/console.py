"""`mailroom console`"""

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from mailroom_ops.cli.options import Command, in_environment
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput

TEMPLATES = Path(__file__).parents[3] / "layers" / "templates"


@click.command(
    cls=Command,
    examples=(
        ("open the console of production", "mailroom console --env production"),
        ("use another port", "mailroom console --env staging --port 8080"),
    ),
)
@in_environment
@click.option(
    "--port",
    default=3001,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port on 127.0.0.1; 0 for any free one.",
)
@click.option("--open/--no-open", "opens", default=None, help="Open the browser; by default only from a terminal.")
def command(environment: Environment, port: int, opens: bool | None) -> None:
    """Open an environment in the browser: deliveries, suppressions, queues, senders, the gallery.

    The console listens on 127.0.0.1 only and uses your AWS credentials. The printed address works in one browser, once.
    Ctrl-C ends it.
    """
    from mailroom_ops.cli import screen
    from mailroom_ops.console.access import Access
    from mailroom_ops.console.console import Console, LockedConsole
    from mailroom_ops.web.server import Server

    access = Access()
    console = LockedConsole(Console(environment, TEMPLATES), access, lambda: server.server_port)
    try:
        server = Server(port, console.answer)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        reason = "is in use" if error.errno == errno.EADDRINUSE else "is not allowed"
        raise InvalidInput(f"Port {port} {reason}.", "Choose another one with --port.") from error
    address = f"http://127.0.0.1:{server.server_port}/?key={access.one_time_key}"
    opens_browser = sys.stdout.isatty() if opens is None else opens
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server:
        try:
            screen.emit(f"ready {address}")
            sys.stdout.flush()
            click.echo(f"Console of {environment.label}. The address works in one browser; Ctrl-C ends it.", err=True)
            with _opened(address) if opens_browser else nullcontext():
                server.serve_forever(0.2)
        except KeyboardInterrupt:
            click.echo("ended", err=True)


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Open the browser by a file, because every user of this machine can read the arguments of a process."""
    import webbrowser

    handle, name = tempfile.mkstemp(prefix="mailroom-console-", suffix=".html")
    with os.fdopen(handle, "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}"><title>Mailroom</title>\n')
    try:
        if not webbrowser.open(Path(name).as_uri()):
            click.echo("No browser was found: open the address by hand.", err=True)
        yield
    finally:
        os.unlink(name)
