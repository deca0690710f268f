"""What the commands have in common: which environment, asking before it matters, help that shows how."""

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
    "key_in",
    "resolver",
    "yes",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class _Taught(click.Command):
    """Help that ends with examples, one a line: what to type, and what that does."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for what, command in self.examples:
                    formatter.write(
                        f"{'':{formatter.current_indent}}# {what}\n{'':{formatter.current_indent}}{command}\n"
                    )
        super().format_epilog(ctx, formatter)


class Command(_Taught):
    """One command."""


class Group(_Taught, click.Group):
    """Several commands under one name, in the order they are written."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def in_environment(function: Function) -> Function:
    """Give a command the Environment it is about, from --env, --profile, --region and --stack."""

    @click.option(
        "--env",
        "label",
        type=click.Choice(LABELS),
        default=LOCAL,
        show_default=True,
        envvar="MAILROOM_ENV",
        show_envvar=True,
        help="Which environment; `local` is what `make run` runs.",
    )
    @click.option("--profile", metavar="NAME", help="AWS profile; else AWS_PROFILE.")
    # boto3 knows AWS_DEFAULT_REGION alone; AWS_REGION is what the AWS CLI and every other SDK go by.
    @click.option(
        "--region", metavar="NAME", envvar="AWS_REGION", help="AWS region; else AWS_REGION, or the profile's."
    )
    @click.option("--stack", metavar="NAME", default="", help="Stack, if not mailroom-ENV.")
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
    help="Ask this DNS server, such as 9.9.9.9.",
)
key_file = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False),
    help="A Resend key with full access, if the stored one may only send. It is not kept.",
)

yes = click.option("--yes", "-y", is_flag=True, help="Do not ask; for CI.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for a machine.")


def key_in(file: str | None) -> str:
    """Return the key that a --key-file holds."""
    return Path(file).read_text(encoding="utf-8").strip() if file else ""


def confirm_production(environment: Environment, question: str, agreed: bool) -> None:
    """Ask before something is done to production, and nowhere else."""
    confirm(environment.label, question, agreed or not environment.is_production)


def confirm(label: str, question: str, agreed: bool) -> None:
    """Ask before something is done; in production its name has to be typed."""
    if agreed:
        return
    if not sys.stdin.isatty():
        raise ConfirmationRequired(f"Not confirmed: {question}", "Say --yes where nobody can be asked.")
    if label == "production":
        typed = click.prompt(f"{question} This is production: type its name", default="", show_default=False, err=True)
        if typed.strip() != label:
            raise ConfirmationRequired("Not confirmed, nothing was changed.")
    elif not click.confirm(question, err=True):
        raise ConfirmationRequired("Not confirmed, nothing was changed.")
