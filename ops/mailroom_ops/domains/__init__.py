"""Sending domains: their records and DNS, and the registrars of providers that have an API for them."""

from collections.abc import Mapping

from mailroom_ops.domains.registrar import Registrar
from mailroom_ops.environment import Environment
from mailroom_ops.provider_modules import provider_module

__all__ = ["load"]


def load(account: str, environment: Environment, values: Mapping[str, str], key: str = "") -> Registrar | None:
    """Return the registrar of an account; None where domains are added by hand, or not at all.

    `values` are the account's settings; `key` replaces the stored API key for this call, with wider permissions.
    """
    module = provider_module(__name__, account)
    registrar: Registrar | None = module.registrar(account, environment, values, key) if module else None
    return registrar
