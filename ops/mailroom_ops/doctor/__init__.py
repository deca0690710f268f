"""The checklist that operators would otherwise go through by hand. It changes nothing, and sends only when asked to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

from mailroom_ops.domains.dns import Dns
from mailroom_ops.environment import Environment
from mailroom_ops.errors import OperatorError
from mailroom_ops.finding import Finding, failed
from mailroom_ops.settings.parameters import Parameter, Parameters

__all__ = ["AREAS", "Case", "examine"]

AREAS = ("stack", "settings", "providers", "domains", "doors", "queues")  # a file each


@dataclass
class Case:
    """What is examined; each thing is looked up once."""

    environment: Environment
    dns: Dns
    looks_at_dns: bool = True

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        return Parameters(self.environment).all()

    @cached_property
    def values(self) -> dict[str, str]:
        return {name: parameter.value for name, parameter in self.parameters.items() if not name.startswith("removed/")}


def examine(case: Case, areas: Sequence[str] = AREAS) -> Iterator[tuple[str, Finding]]:
    """Go through the areas, one finding at a time; what stops one of them is a finding, too."""
    for area in areas:
        check: Callable[[Case], Iterator[Finding]] = import_module(f"mailroom_ops.doctor.{area}").check
        try:
            for found in check(case):
                yield area, found
        except OperatorError as problem:
            yield area, failed(area, problem.sentence, problem.todo)
