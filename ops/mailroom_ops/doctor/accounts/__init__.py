"""Check that a provider account can send: key, quota, and production access. One file per provider."""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, warning
from mailroom_ops.provider_modules import provider_module

__all__ = ["check"]


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    """Check an account at its provider, without sending; `domains` are those that it sends from."""
    if module := provider_module(__name__, account):
        yield from module.check(account, environment, values, domains)
    else:
        yield warning(account, "can only be checked by sending", "Add --send-test-to with an address of yours.")
