"""`mailroom completion bash|zsh|fish`"""

import click

from mailroom_ops.cli.options import Command


@click.command(
    cls=Command,
    examples=(
        ("bash, in ~/.bashrc", 'eval "$(mailroom completion bash)"'),
        ("zsh, in ~/.zshrc", 'eval "$(mailroom completion zsh)"'),
        ("fish", "mailroom completion fish > ~/.config/fish/completions/mailroom.fish"),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what lets SHELL complete commands, options and names."""
    from click.shell_completion import get_completion_class

    from mailroom_ops.cli.main import root

    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(root, {}, "mailroom", "_MAILROOM_COMPLETE").source())
