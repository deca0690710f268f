"""The order of a provider chain for one message."""

from collections.abc import Sequence

__all__ = ["in_order"]


def in_order(chain: Sequence[str], behind: str) -> tuple[str, ...]:
    """Return the chain from the account that follows `behind`, which comes last; as it is, where `behind` is not in it.

    `behind` is the account that an earlier mail of the same kind went to and that has not delivered it.
    """
    if behind not in chain:
        return tuple(chain)
    place = chain.index(behind) + 1
    return (*chain[place:], *chain[:place])
