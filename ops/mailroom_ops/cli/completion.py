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
    """Print the script by which SHELL completes commands, options and names."""
    from click.shell_completion import get_completion_class

    from mailroom_ops.cli.main import root

    completion = get_completion_class(shell)
    if completion is not None:
        click.echo(completion(root, {}, "mailroom", "_MAILROOM_COMPLETE").source())
