"""A provider's error table, and what an answer amounts to by it."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome

__all__ = ["QUOTA_WAIT", "Case", "problem"]

QUOTA_WAIT = 3600.0  # nobody says when a used-up quota comes back: ask again in an hour


class Case(NamedTuple):
    """One row of a provider's error table: which answers it is about, and what they mean to us."""

    status: int  # 0: any
    name: str  # the provider's own name for it; empty: any
    says: str  # a pattern in its message, any case; empty: any
    error: type[DeliveryError]
    code: str  # our word for it
    wait: float | None = None  # at least so many seconds, whatever its headers say


# What a status means by itself, where no row of the provider's table fits.
BY_STATUS: Mapping[int, tuple[type[DeliveryError], str]] = {
    400: (PermanentFailure, "invalid"),
    401: (ConfigurationError, "bad_key"),
    402: (ConfigurationError, "unpaid"),
    403: (ConfigurationError, "forbidden"),
    404: (ConfigurationError, "not_found"),
    405: (ConfigurationError, "not_found"),
    406: (PermanentFailure, "invalid"),
    408: (UnknownOutcome, "timeout"),
    410: (ConfigurationError, "not_found"),
    413: (PermanentFailure, "too_large"),
    415: (PermanentFailure, "invalid"),
    422: (PermanentFailure, "invalid"),
}


def problem(
    party: str, cases: Sequence[Case], status: int, name: str, message: str, wait: float | None = None
) -> DeliveryError:
    """Return the error an answer amounts to: by the provider's own table, else by its status."""
    for case in cases:
        if case.status in (0, status) and case.name in ("", name) and re.search(case.says, message, re.IGNORECASE):
            at_least = max((seconds for seconds in (wait, case.wait) if seconds is not None), default=None)
            return _error(case.error, party, case.code, name, message, at_least)
    error, code = BY_STATUS.get(status, (TemporaryFailure, f"http_{status}"))
    if not name and not message and error is PermanentFailure and status != 413:
        # Not the provider's words but a proxy's: it says nothing about this mail.
        error, code = TemporaryFailure, f"http_{status}"
    if 300 <= status < 400:
        error, code = ConfigurationError, "redirected"
    if status < 300 or status >= 500:
        error, code = UnknownOutcome, f"http_{status}"
    return _error(error, party, code, name, message, wait)


def _error(
    kind: type[DeliveryError], party: str, code: str, name: str, message: str, wait: float | None
) -> DeliveryError:
    detail = ": ".join(part for part in (name, message) if part)
    return kind(party, code, detail, retry_after=wait if issubclass(kind, TemporaryFailure | UnknownOutcome) else None)
