"""The common parts of the tests of the command: stored parameters, every command and its options."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import click

from mailroom_ops.cli.main import root
from mailroom_ops.environment import Environment
from mailroom_ops.settings.parameters import Parameters

__all__ = ["COMMANDS", "Stored", "command_at", "options_of", "store"]


@cache
def store(environment: str) -> Parameters:
    """Return the parameters of an environment; cached, because a client takes longer to make than most tests."""
    return Parameters(Environment(environment))


@dataclass(frozen=True, slots=True)
class Stored:
    """The parameter store of an environment."""

    environment: str

    def values(self) -> dict[str, str]:
        return store(self.environment).values()

    def types(self) -> dict[str, bool]:
        """Return for each parameter whether it is encrypted."""
        return {name: parameter.is_encrypted for name, parameter in store(self.environment).all().items()}

    def put(self, **values: str) -> None:
        """Write parameters; `__` stands for a slash."""
        for name, value in values.items():
            store(self.environment).put(name.replace("__", "/"), value)


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        child = command.get_command(click.Context(command), name)
        assert child is not None
        command = child
    return command


def options_of(path: tuple[str, ...]) -> set[str]:
    return {option for parameter in command_at(path).params for option in parameter.opts}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(click.Context(group)):
        yield (*path, name)
        command = command_at((*path, name))
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


COMMANDS = list(_commands(root))
