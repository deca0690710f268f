"""The sources by name: each is a module of this package, which is loaded when its route is called."""

from collections.abc import Sequence
from importlib import import_module

from mailroom.errors import RequestError
from mailroom.sources.source import Source

__all__ = ["NAMES", "RENDERING", "SEALED", "load"]

NAMES = ("logto", "supabase", "kratos", "entra", "hanko", "neon")

# Their mails can have text of their own, which needs a seal: the rendered function serves them.
SEALED = ("rendered", "zitadel", "auth0", "casdoor", "clerk", "standard")
RENDERING = ("rendered", "zitadel", "auth0", "casdoor")  # of these, whose mails are never from our templates


def load(name: str, names: Sequence[str] = NAMES) -> Source:
    """Return a source; raise a RequestError for a name that is not one of `names`."""
    if name not in names:
        raise RequestError(404, f"There is no source of this name: use {', '.join((*NAMES, *SEALED))}.")
    source: Source = import_module(f"mailroom.sources.{name}").SOURCE
    return source
