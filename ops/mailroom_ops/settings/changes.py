"""The changes that a command would make, to show them first. Of a secret only its length is ever shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailroom.model.json_settings import json_object
from mailroom.model.stored_files import unpack
from mailroom_ops.settings import catalog

__all__ = ["Act", "Change", "compare", "described", "pending"]


MAX_SHOWN_LENGTH = 60  # of a setting that is not JSON, such as a certificate


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


def compare(current: Mapping[str, str], target: Mapping[str, str | None]) -> list[Change]:
    """Return the changes that turn `current` into `target`; a value of None is removed."""
    return [Change(name, current.get(name), new) for name, new in target.items() if new is not None or name in current]


def pending(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.act is not Act.KEEP]


def same(left: str, right: str) -> bool:
    """Compare two values by their meaning: a JSON object may be written in several ways."""
    content = json_object(left)
    return left == right if content is None else content == json_object(right)


def described(name: str, value: str | None) -> str:
    """Describe the value of a parameter; of a secret only its length."""
    if value is None:
        return ""
    setting = catalog.find(name)
    content = json_object(value)
    if setting is None or setting.is_secret:
        lengths = [str(len(line)) for line in catalog.values_of(value)] or ["0"]
        counted = "secret" if len(lengths) == 1 else f"{len(lengths)} secrets"
        scope = {key: part for key, part in (content or {}).items() if key in ("tenants", "kinds")}
        return f"{counted}, {' and '.join(lengths)} characters" + (f"; {_listed(scope)}" if scope else "")
    if content is not None:
        return _listed(content)
    if name.startswith("templates/"):
        return _files(value)
    line = " ".join(value.split())
    return line if len(line) <= MAX_SHOWN_LENGTH else f"{line[:MAX_SHOWN_LENGTH]}…"


def _files(value: str) -> str:
    try:
        files = unpack(value)
    except ValueError as error:
        return str(error)
    return f"{', '.join(sorted(files)) or 'no files'}; {len(value.encode())} bytes"


def _listed(content: Mapping[str, object]) -> str:
    parts = (f"{key}: {', '.join(map(str, part)) if isinstance(part, list) else part}" for key, part in content.items())
    return "; ".join(parts)
