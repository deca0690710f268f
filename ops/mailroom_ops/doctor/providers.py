"""Check that the provider accounts in use can send."""

from collections.abc import Iterator

from mailroom_ops.doctor import Context, accounts
from mailroom_ops.doctor.settings import accounts_in_use
from mailroom_ops.errors import OperatorError
from mailroom_ops.finding import Finding, failed
from mailroom_ops.settings import catalog, tenants

__all__ = ["check"]


def check(context: Context) -> Iterator[Finding]:
    for account, domains in accounts_in_use(context).items():
        settings = tenants.account_values(context.values, account)
        if catalog.account_fault(account, settings):
            continue  # reported in the area `settings`
        try:
            yield from accounts.check(account, context.environment, settings, domains)
        except OperatorError as error:
            yield failed(account, error.sentence, error.todo)
