"""The name of a tenant in a filter."""

import difflib

from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import tenants
from mailroom_ops.settings.parameters import Parameters

__all__ = ["require_tenant"]


def require_tenant(environment: Environment, name: str) -> None:
    """Raise InvalidInput for a tenant that does not exist; for commands that found nothing of it."""
    names = {tenants.DEFAULT, *(tenant.name for tenant in tenants.list_tenants(Parameters(environment).values()))}
    if name and name not in names:
        similar = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {similar[0]}? " if similar else ""
        raise InvalidInput(
            f"There is no tenant {name}.", f"{hint}`mailroom tenant list --env {environment.label}` shows all."
        )
