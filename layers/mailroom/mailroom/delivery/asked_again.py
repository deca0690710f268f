"""Asked again: a recipient who requests the same kind of code once more has most likely not got the first one.

So the new code does not go to the account of the first one first, unless that has reported the delivery. The row of
the recipient, which each code writes, names the first code; that code's row names the account, and is read only where
the chain has a choice.
"""

from collections.abc import Sequence
from dataclasses import replace

from mailroom.delivery.chain import in_order
from mailroom.errors import TemporaryFailure
from mailroom.ledger.table import Ledger
from mailroom.model.outcome import Attempt, Outcome, Status

__all__ = ["ASKED_AGAIN", "account_of", "decision", "postponed"]

ASKED_AGAIN = "asked_again"


def account_of(ledger: Ledger, replaced: str, chain: Sequence[str]) -> str:
    """Return the account that has not delivered the code `replaced`, where another one comes first because of it.

    While the ledger does not answer, the chain keeps its order.
    """
    if not replaced or len(chain) < 2:
        return ""
    try:
        account = ledger.undelivered_by(replaced)
    except TemporaryFailure:
        return ""
    return account if in_order(chain, account)[0] != chain[0] else ""


def decision(outcome: Outcome, at: float, first: str, behind: str) -> Outcome:
    """Return the outcome of a first attempt, with an entry for the timeline where the chain has another order."""
    if not outcome.tries or behind in ("", first):
        return outcome
    return replace(outcome, tries=(_entry(at, first, behind), *outcome.tries))


def postponed(at: float, first: str, behind: str) -> Outcome:
    """Return the outcome of a message that goes to another account than the others of its batch, and so alone."""
    return Outcome(Status.ACCEPTED, ASKED_AGAIN, tries=(_entry(at, first, behind),), retry_in=0.0)


def _entry(at: float, first: str, behind: str) -> Attempt:
    return Attempt(at, first, ASKED_AGAIN, f"behind {behind}")
