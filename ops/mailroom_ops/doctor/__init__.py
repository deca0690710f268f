"""The checks of `mailroom doctor`, one module per area. They change nothing, and send a mail only on request."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from mailroom_ops.errors import AccessError, OperatorError
from mailroom_ops.finding import Finding, failed

if TYPE_CHECKING:
    from mailroom_ops.domains.dns import Dns
    from mailroom_ops.environment import Environment
    from mailroom_ops.settings.parameters import Parameter

__all__ = ["AREAS", "DESCRIPTIONS", "Context", "run_checks"]

DESCRIPTIONS = {
    "stack": "the deployed stack",
    "settings": "settings and secrets",
    "providers": "keys of the providers",
    "domains": "DNS of the sending domains",
    "endpoints": "webhook, API and feedback",
    "queues": "queues and dead letters",
    "quotas": "quotas of the account",
    "logos": "logos of the brands",
}
AREAS = tuple(DESCRIPTIONS)


@dataclass
class Context:
    """The environment to check, and its parameters, which are read once."""

    environment: "Environment"
    dns: "Dns"
    check_dns: bool = True

    @cached_property
    def parameters(self) -> "dict[str, Parameter]":
        from mailroom_ops.settings.parameters import Parameters

        return Parameters(self.environment).all()

    @cached_property
    def values(self) -> dict[str, str]:
        return {name: parameter.value for name, parameter in self.parameters.items() if not name.startswith("removed/")}


def run_checks(context: Context, areas: Sequence[str] = AREAS) -> Iterator[tuple[str, Finding]]:
    """Yield the findings of each area; an error that ends the checks of an area is a finding too.

    Raise AccessError at the first sign that no check can succeed: missing credentials, for example.
    """
    for area in areas:
        check: Callable[[Context], Iterator[Finding]] = import_module(f"mailroom_ops.doctor.{area}").check
        try:
            for finding in check(context):
                yield area, finding
        except AccessError:
            raise
        except OperatorError as error:
            yield area, failed(area, error.sentence, error.todo)
