"""Plan and do a take-over of a secrets file, in one environment or in all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailroom_ops.environment import DEPLOYED
from mailroom_ops.errors import InvalidInput
from mailroom_ops.secrets_import.reader import Takeover, settings_of
from mailroom_ops.settings.changes import Change, compare, pending

__all__ = ["Step", "chosen", "plan", "shared"]


@dataclass(frozen=True, slots=True)
class Step:
    """What a file changes in one environment."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def to_write(self) -> dict[str, str]:
        return {change.name: change.new for change in pending(self.changes) if change.new is not None}


def chosen(found: Mapping[str, Takeover], environment: str, name: str) -> dict[str, Takeover]:
    """Return what of a file is asked for; `environment` may be `all`."""
    if "" in found:
        if environment == "all":
            raise InvalidInput(
                f"{name} is one environment, and does not say which.", f"Use --env {', --env '.join(DEPLOYED)}."
            )
        return {environment: found[""]}
    if environment == "all":
        return {label: found[label] for label in DEPLOYED if label in found}
    if environment not in found:
        raise InvalidInput(f"{name} has no block for {environment}: it has {', '.join(found)}.")
    return {environment: found[environment]}


def plan(takeover: Takeover, current: Mapping[str, str]) -> Step:
    wanted, notes = settings_of(takeover, current)
    return Step(tuple(compare(current, wanted)), tuple(notes))


def shared(found: Mapping[str, Takeover]) -> Iterable[str]:
    """Name each provider key that serves two environments."""
    seen: dict[str, str] = {}
    for environment, takeover in found.items():
        for sets, scalar in takeover.entries.items():
            if sets.endswith(("/api_key", "/password")):
                other = seen.setdefault(scalar.text, environment)
                if other != environment:
                    yield f"{other} and {environment} have one {sets} between them: give each its own"
