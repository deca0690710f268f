"""Promote settings from one environment to the next.

Senders, brands and the addresses of providers are copied. The keys of providers are copied on request only, because
each environment should have its own. The secrets of our own endpoints (webhooks, API keys, feedback) never are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom.model.parameter_names import DEFAULT_TENANT
from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Change, compare, same

__all__ = ["Difference", "Promotion", "differences", "promotion", "without_sandboxes"]

SKIPPED = ("ledger/", "removed/")
THIS_MACHINE = re.compile(r"https?://(127\.|localhost|\[::1\])")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Difference:
    """One parameter in two environments."""

    name: str
    left: str | None = field(repr=False)
    right: str | None = field(repr=False)

    @property
    def state(self) -> str:
        if self.left is None or self.right is None:
            return "only left" if self.right is None else "only right"
        return "same" if same(self.left, self.right) else "differs"

    @property
    def is_shared_secret(self) -> bool:
        """Whether both environments have the same secret, so that a leak of the one is a leak of the other."""
        setting = catalog.find(self.name)
        return self.state == "same" and bool(setting and setting.is_secret)


@dataclass(frozen=True, slots=True)
class Promotion:
    """The changes to the target; what it will still lack, with the remedy; what is not copied, with the reason."""

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
    """Plan the promotion of `source`, or of one tenant of it, to `target`."""
    copied: dict[str, str] = {}
    lacking, left_out = [], []
    for name, value in source.items():
        setting = catalog.find(name)
        if (
            name.startswith(SKIPPED)
            or setting is None
            or setting.is_generated
            or (tenant and not belongs(name, tenant))
        ):
            continue
        if fault := catalog.fault(name, value):
            left_out.append((name, f"malformed: {fault}"))
        elif THIS_MACHINE.match(value):
            left_out.append((name, "it is an address of this machine"))
        elif not setting.is_secret or (with_keys and name.startswith("providers/")):
            copied[name] = value
        elif name not in target:
            lacking.append((name, _remedy(name)))
    # A sender comes last, when everything that it sends through is there.
    in_order = sorted(copied, key=lambda name: (name.startswith("senders/"), name))
    return Promotion(tuple(compare(target, {name: copied[name] for name in in_order})), tuple(lacking), tuple(left_out))


def without_sandboxes(values: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a local stack without those of the provider accounts that are its sandboxes."""
    accounts = {_account(name) for name, value in values.items() if value in LOOPBACK or THIS_MACHINE.match(value)}
    return {name: value for name, value in values.items() if not (accounts - {""}) & {_account(name)}}


def _account(name: str) -> str:
    """Return the provider account that a setting belongs to, such as resend.acme; empty for another setting."""
    match name.split("/"):
        case ["providers" | "feedback", account, *_]:
            return account
    return ""


def belongs(name: str, tenant: str) -> bool:
    """Return whether a parameter is a tenant's own."""
    parts = name.split("/")
    match parts[0]:
        case "webhooks":
            return (parts[2] if len(parts) == 4 else DEFAULT_TENANT) == tenant
        case "providers":
            return catalog.split_account(parts[1])[1] == ("" if tenant == DEFAULT_TENANT else tenant)
        case "senders" | "brands" | "templates" | "limits" | "suppression" | "callbacks":
            return parts[1] == tenant
    return False


def _remedy(name: str) -> str:
    return "set it there with --generate" if name.startswith(("webhooks/", "api/")) else "set the target's own there"
