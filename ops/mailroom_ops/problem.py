"""What stops a piece of the operator's work, as one sentence and what to do about it.

Problem
  x BadInput      what was given cannot be used
  x Refusal       AWS, a provider or the local stack said no, or nothing at all
  x Unconfirmed   it needs a yes that was not given
"""

from collections.abc import Sequence

__all__ = ["BadInput", "Problem", "Refusal", "Unconfirmed"]


class Problem(Exception):
    """`details` are lines of their own, such as one for each faulty line of a file."""

    def __init__(self, sentence: str, todo: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.todo = todo
        self.details = tuple(details)


class BadInput(Problem):
    """What was given cannot be used; nothing was changed."""


class Refusal(Problem):
    """Someone we depend on said no, or does not answer."""


class Unconfirmed(Problem):
    """It needs a yes that was not given; nothing was changed."""
