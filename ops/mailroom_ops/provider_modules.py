"""Modules that are named after a provider, and imported only for its accounts."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from mailroom.providers import NAMES, kind_of

__all__ = ["provider_module"]


def provider_module(package: str, account: str) -> ModuleType | None:
    """Import and return the module of an account's provider in a package; None if it has none."""
    name = f"{package}.{kind_of(account)}"
    return import_module(name) if kind_of(account) in NAMES and find_spec(name) else None
