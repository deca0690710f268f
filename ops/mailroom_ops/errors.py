"""Errors shown to the operator: one sentence each, and the next step.

OperatorError
  x InvalidInput           the input cannot be used
  x ServiceError           AWS, a provider or the local stack refused, or did not answer
    + AccessError          no further call can succeed: credentials, region, profile, or no local stack
  x ConfirmationRequired   the command needs a confirmation that was not given
"""

from collections.abc import Sequence

__all__ = ["AccessError", "ConfirmationRequired", "InvalidInput", "OperatorError", "ServiceError"]


class OperatorError(Exception):
    """`details` are further lines, such as one for each faulty line of a file."""

    def __init__(self, sentence: str, todo: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.todo = todo
        self.details = tuple(details)


class InvalidInput(OperatorError):
    """The input cannot be used; nothing was changed."""


class ServiceError(OperatorError):
    """A service we depend on refused, or does not answer."""


class AccessError(ServiceError):
    """Every call to the same account will fail like this one: there are no valid credentials, or there is no region."""


class ConfirmationRequired(OperatorError):
    """The command needs a confirmation that was not given; nothing was changed."""
