"""Numbers of generated examples: few by default, and many in CI (MAILROOM_THOROUGH=1)."""

import os

__all__ = ["times"]


def times(usual: int, thorough: int) -> int:
    """Return a number of repetitions."""
    return thorough if os.environ.get("MAILROOM_THOROUGH") == "1" else usual
