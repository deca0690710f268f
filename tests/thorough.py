"""The long form of the tests, which CI runs (MAILROOM_THOROUGH=1): more generated examples, and long proofs."""

import os

__all__ = ["IS_THOROUGH", "times"]

IS_THOROUGH = os.environ.get("MAILROOM_THOROUGH") == "1"


def times(usual: int, thorough: int) -> int:
    """Return a number of repetitions."""
    return thorough if IS_THOROUGH else usual
