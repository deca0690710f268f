"""How much is tried: enough to see that it holds, and in CI, where nobody waits (MAILROOM_THOROUGH=1), a lot."""

import os

__all__ = ["times"]


def times(usual: int, thorough: int) -> int:
    """Return how often to do something."""
    return thorough if os.environ.get("MAILROOM_THOROUGH") == "1" else usual
