"""The entry point. Each command is loaded when it is called, so that help is printed at once."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from mailroom_ops.cli.options import Group
from mailroom_ops.errors import ConfirmationRequired, InvalidInput, OperatorError, ServiceError
from mailroom_ops.local import bytecode

__all__ = ["main"]

EXIT_CODES: dict[type[OperatorError], int] = {InvalidInput: 2, ServiceError: 3, ConfirmationRequired: 4}
SECTIONS: dict[str, dict[str, str]] = {
    "Set up": {
        "secrets": "Import, list, set, rotate and compare secrets and settings.",
        "tenant": "Add, list, verify and remove tenants, with their domains and DNS.",
        "sources": "Connect auth servers: list their webhooks, renew their public keys.",
        "promote": "Copy settings from one environment to the next.",
        "backup": "Write the settings of an environment, and its secrets encrypted, into a file.",
        "restore": "Write a backup into an environment.",
    },
    "Operate": {
        "console": "Open an environment in the browser: deliveries, queues, senders.",
        "doctor": "Check everything that mail delivery depends on.",
        "send": "Send one mail or a burst, and show the status.",
        "log": "Show recent mail, or follow it live.",
        "trace": "Show the delivery status and the timeline of a mail.",
        "stats": "Count mail by provider, outcome and reason.",
        "dlq": "List, show, replay and drop dead letters: mail that could not be sent.",
        "limits": "Show, set and reset limits: how many codes a recipient gets.",
        "callbacks": "Report outcomes to the tenants' own servers, as signed webhooks.",
        "suppressions": "List, check, add, remove, import and export suppressed addresses.",
        "cost": "Estimate the monthly bill of AWS.",
        "scale": "Simulate a rate of mails: queue, concurrency, and what to raise first.",
        "sandbox": "Make a provider of the local stack fail: errors, hangs, resets, rate limits.",
        "remove": "Show what deleting an environment leaves behind and costs, and delete it.",
    },
    "Templates": {
        "preview": "Render every kind of mail in every language into files.",
        "templates": "Store, list, restore and import a tenant's own templates and texts.",
    },
    "Shell": {
        "completion": "Print the completion script of your shell.",
    },
}
# Words that other tools have for the same.
SYNONYMS = {
    "bounces": "suppressions",
    "check": "doctor",
    "dead-letters": "dlq",
    "deliveries": "log",
    "emails": "log",
    "logs": "log",
    "queues": "dlq",
    "settings": "secrets",
    "status": "doctor",
    "tail": "log",
}


class Root(Group):
    """Lists every command with one line of help, and loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for commands in SECTIONS.values() for name in commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"mailroom_ops.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, _unknown(error.command_name), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))


def _unknown(name: str) -> str:
    """Return the error for a command that does not exist, with the one that is probably meant."""
    import difflib

    words = {word: word for commands in SECTIONS.values() for word in commands} | SYNONYMS
    similar = difflib.get_close_matches(name, words, n=1)
    hint = f"Did you mean `mailroom {words[similar[0]]}`?" if similar else "`mailroom --help` lists all."
    return f"No such command {name!r}. {hint}"


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"mailroom {version('mailroom')}")
        ctx.exit()


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(("import the secrets of an older system", "mailroom secrets import passwords.yaml --env staging"),),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def root() -> None:
    """Set up, check and operate the mailroom of your auth server.

    Every command works on one environment: --env local (what `make run` runs), development, staging or production.
    It uses your own AWS credentials, as the AWS CLI does.

    Exit codes: 0 done, 1 a check failed, 2 invalid input, 3 AWS or a provider failed, 4 not confirmed,
    130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    sys.pycache_prefix = sys.pycache_prefix or bytecode.FOLDER
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = root.main(args=arguments, prog_name="mailroom", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except OperatorError as error:
        return _show(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "botocore":
            raise
        from mailroom_ops.environment import aws_error

        return _show(aws_error(error))
    return code if isinstance(code, int) else 0


def _show(error: OperatorError) -> int:
    from mailroom_ops.cli.screen import show_error

    show_error(error)
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)
