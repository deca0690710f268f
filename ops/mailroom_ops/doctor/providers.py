"""Whether the provider accounts in use can send."""

from collections.abc import Iterator

from mailroom_ops.doctor import Case, accounts
from mailroom_ops.doctor.settings import chains
from mailroom_ops.errors import OperatorError
from mailroom_ops.finding import Finding, failed
from mailroom_ops.settings import catalog, tenants

__all__ = ["check"]


def check(case: Case) -> Iterator[Finding]:
    for account, domains in chains(case).items():
        held = tenants.account_values(case.values, account)
        if catalog.account_fault(account, held):
            continue  # told of under settings
        try:
            yield from accounts.check(account, case.environment, held, domains)
        except OperatorError as problem:
            yield failed(account, problem.sentence, problem.todo)
