"""The sources by name: each is a module of this package, which is loaded when its route is called."""

from importlib import import_module

from mailroom.errors import RequestError
from mailroom.sources.source import Source

__all__ = ["NAMES", "load"]

NAMES = ("logto", "supabase", "entra", "hanko")


def load(name: str) -> Source:
    """Return a source; raise a RequestError for a name that is not one of NAMES."""
    if name not in NAMES:
        raise RequestError(404, f"There is no source of this name: use {', '.join(NAMES)}.")
    source: Source = import_module(f"mailroom.sources.{name}").SOURCE
    return source
