"""The common parts of the commands: the options for an environment, confirmations, help with examples."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mailroom_ops.environment import LABELS, LOCAL, Environment
from mailroom_ops.errors import ConfirmationRequired

__all__ = [
    "Command",
    "Group",
    "as_json",
    "confirm",
    "confirm_production",
    "in_environment",
    "key_file",
    "read_key",
    "resolver",
    "yes",
]

ENVIRONMENT_OPTIONS = ("label", "profile", "to_profile", "region", "to_region", "stack")
Function = TypeVar("Function", bound=Callable[..., Any])


class _WithExamples(click.Command):
    """A command whose help ends with examples: a comment and the command line for each."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for comment, command in self.examples:
                    formatter.write(
                        f"{'':{formatter.current_indent}}# {comment}\n{'':{formatter.current_indent}}{command}\n"
                    )
        super().format_epilog(ctx, formatter)


class Command(_WithExamples):
    """One command. Its help lists the options of the place last, because they are the same everywhere."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Where": []}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                sections["Where" if param.name in ENVIRONMENT_OPTIONS else "Options"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Group(_WithExamples, click.Group):
    """Several commands under one name, in the order of their definition."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def in_environment(function: Function) -> Function:
    """Add --env, --profile, --region and --stack to a command, and pass it their Environment."""

    @click.option(
        "--env",
        "label",
        type=click.Choice(LABELS),
        default=LOCAL,
        show_default=True,
        envvar="MAILROOM_ENV",
        show_envvar=True,
        help="Environment; `local` is what `make run` runs.",
    )
    @click.option("--profile", metavar="NAME", help="AWS profile; else AWS_PROFILE.")
    # boto3 reads AWS_DEFAULT_REGION only; the AWS CLI and every other SDK read AWS_REGION.
    @click.option(
        "--region", metavar="NAME", envvar="AWS_REGION", help="AWS region; else AWS_REGION, or the profile's."
    )
    @click.option("--stack", metavar="NAME", default="", help="CloudFormation stack, if not mailroom-ENV.")
    @functools.wraps(function)
    def with_environment(
        *args: Any, label: str, profile: str | None, region: str | None, stack: str, **kwargs: Any
    ) -> Any:
        return function(Environment(label, profile, region, stack), *args, **kwargs)

    return with_environment  # type: ignore[return-value]


resolver = click.option(
    "--resolver",
    "servers",
    multiple=True,
    metavar="ADDRESS",
    envvar="MAILROOM_RESOLVER",
    show_envvar=True,
    help="Query this DNS server, such as 9.9.9.9.",
)
key_file = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with a Resend key with full access, if the stored key may only send. It is not stored.",
)

yes = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation; for CI.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read_key(file: str | None) -> str:
    """Return the key in a --key-file; empty without one."""
    return Path(file).read_text(encoding="utf-8").strip() if file else ""


def confirm_production(environment: Environment, question: str, yes: bool) -> None:
    """Ask for confirmation in production only."""
    confirm(environment.label, question, yes or not environment.is_production)


def confirm(label: str, question: str, yes: bool) -> None:
    """Ask for confirmation; in production the name of the environment has to be typed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfirmationRequired(f"Not confirmed: {question}", "Without a terminal, use --yes.")
    if label == "production":
        typed = click.prompt(
            f"{question} This is production. Type its name to confirm", default="", show_default=False, err=True
        )
        if typed.strip() != label:
            raise ConfirmationRequired("Not confirmed: nothing was changed.")
    elif not click.confirm(question, err=True):
        raise ConfirmationRequired("Not confirmed: nothing was changed.")
