"""Take what was tried in one environment to the next.

What everyone may see goes along: senders, brands, where a provider is. The keys of providers go only when asked for,
since each environment should have its own. What opens our own doors (webhooks, API keys, feedback) never goes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Change, compare, same

__all__ = ["Difference", "Promotion", "differences", "promotion"]

DOORS = ("webhooks/", "api/", "feedback/")
SKIPPED = ("ledger/", "removed/")
THIS_MACHINE = re.compile(r"https?://(127\.|localhost|\[::1\])")


@dataclass(frozen=True, slots=True)
class Difference:
    """How one parameter stands in two environments."""

    name: str
    left: str | None = field(repr=False)
    right: str | None = field(repr=False)

    @property
    def word(self) -> str:
        if self.left is None or self.right is None:
            return "only left" if self.right is None else "only right"
        return "same" if same(self.left, self.right) else "differs"

    @property
    def is_shared_secret(self) -> bool:
        """Whether one secret serves both: who gets hold of the lesser one has the other."""
        setting = catalog.find(self.name)
        return self.word == "same" and bool(setting and setting.is_secret)


@dataclass(frozen=True, slots=True)
class Promotion:
    """What would go along, and what the target then still lacks, each with the reason."""

    changes: tuple[Change, ...]
    lacking: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]


def differences(left: Mapping[str, str], right: Mapping[str, str]) -> list[Difference]:
    """Compare two environments, name by name."""
    names = sorted({*left, *right})
    return [Difference(name, left.get(name), right.get(name)) for name in names if not name.startswith(SKIPPED)]


def promotion(
    source: Mapping[str, str], target: Mapping[str, str], *, tenant: str = "", with_keys: bool = False
) -> Promotion:
    """Plan the way of `source`, or of one tenant of it, into `target`."""
    wanted: dict[str, str] = {}
    lacking, left_out = [], []
    for name, value in source.items():
        setting = catalog.find(name)
        if name.startswith(SKIPPED) or setting is None or setting.ours or (tenant and not belongs(name, tenant)):
            continue
        if fault := catalog.fault(name, value):
            left_out.append((name, f"malformed: {fault}"))
        elif THIS_MACHINE.match(value):
            left_out.append((name, "points to the machine it was tried on"))
        elif not setting.is_secret or (with_keys and name.startswith("providers/")):
            wanted[name] = value
        elif name not in target:
            lacking.append((name, _how(name)))
    # A sender is switched over last, when all that it sends through is there.
    in_order = sorted(wanted, key=lambda name: (name.startswith("senders/"), name))
    return Promotion(tuple(compare(target, {name: wanted[name] for name in in_order})), tuple(lacking), tuple(left_out))


def belongs(name: str, tenant: str) -> bool:
    """Tell whether a parameter is a tenant's own."""
    parts = name.split("/")
    match parts[0]:
        case "webhooks":
            return (parts[2] if len(parts) == 4 else "default") == tenant
        case "providers":
            return catalog.split(parts[1])[1] == ("" if tenant == "default" else tenant)
        case "senders" | "brands" | "templates":
            return parts[1] == tenant
    return False


def _how(name: str) -> str:
    return "set it there, with --generate" if name.startswith(("webhooks/", "api/")) else "set it there: one of its own"
