"""What a command would change, so that it can be shown first. Of a secret only its length is ever shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailroom.model.json_settings import json_object
from mailroom_ops.settings import catalog

__all__ = ["Act", "Change", "compare", "described", "pending"]


LONGEST = 60  # characters of a setting that is not JSON, such as a certificate


class Act(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter, before and after."""

    name: str
    old: str | None = field(repr=False)
    new: str | None = field(repr=False)

    @property
    def act(self) -> Act:
        if self.old is None:
            return Act.CREATE
        if self.new is None:
            return Act.REMOVE
        return Act.KEEP if same(self.old, self.new) else Act.CHANGE

    def to_json(self) -> dict[str, str]:
        described_as = described(self.name, self.old if self.new is None else self.new)
        return {"name": self.name, "act": self.act, "value": described_as}


def compare(current: Mapping[str, str], wanted: Mapping[str, str | None]) -> list[Change]:
    """Return what has to happen to `current` for it to hold `wanted`; None is to go."""
    return [Change(name, current.get(name), new) for name, new in wanted.items() if new is not None or name in current]


def pending(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.act is not Act.KEEP]


def same(one: str, other: str) -> bool:
    """Tell whether two values mean the same: a JSON object may be written in several ways."""
    found = json_object(one)
    return one == other if found is None else found == json_object(other)


def described(name: str, value: str | None) -> str:
    """Tell what a parameter holds, as far as anyone may see."""
    if value is None:
        return ""
    setting = catalog.find(name)
    found = json_object(value)
    if setting is None or setting.is_secret:
        lengths = [str(len(line)) for line in catalog.values_of(value)] or ["0"]
        counted = "secret" if len(lengths) == 1 else f"{len(lengths)} secrets"
        scope = _listed({key: part for key, part in found.items() if key in ("tenants", "kinds")}) if found else ""
        return f"{counted}, {' and '.join(lengths)} characters" + (f"; {scope}" if scope else "")
    if found is not None:
        return _listed(found)
    line = " ".join(value.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _listed(found: Mapping[str, object]) -> str:
    parts = (f"{key}: {', '.join(map(str, part)) if isinstance(part, list) else part}" for key, part in found.items())
    return "; ".join(parts)
