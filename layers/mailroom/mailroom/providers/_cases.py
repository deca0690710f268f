"""Error tables: what a provider's answer means to Mailroom."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailroom.errors import ConfigurationError, DeliveryError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.redaction import redact

__all__ = ["QUOTA_RETRY_SECONDS", "Case", "error_of"]

QUOTA_RETRY_SECONDS = 3600.0  # no provider states when a used-up quota is renewed


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row of an error table: conditions on an answer, all of which must hold, and the error it means."""

    status: int | None = None
    name: str | None = None  # the provider's own name of the error
    message: str = ""  # a pattern to find in the message, in any case; over SMTP in a reply such as `550 5.1.1 unknown`
    stages: tuple[str, ...] = ()  # SMTP only: connect, ehlo, tls, auth, mail, rcpt, data, answer
    error: type[DeliveryError]
    code: str
    retry_after: float | None = None  # in seconds, at least: an answer may ask for more

    def fits(self, *, status: int | None = None, name: str | None = None, message: str = "", stage: str = "") -> bool:
        return (
            self.status in (None, status)
            and self.name in (None, name)
            and (not self.stages or stage in self.stages)
            and bool(re.search(self.message, message, re.IGNORECASE))
        )


# The meaning of a status that no row of the provider's own table fits.
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


def error_of(
    party: str,
    cases: Sequence[Case],
    status: int,
    name: str,
    message: str,
    emails: Sequence[Email],
    retry_after: float | None = None,
) -> DeliveryError:
    """Return the error that an HTTP answer means: by the provider's own table, else by its status.

    `name` and `message` are the provider's words; the error has them without quotes of the `emails` in the request.
    """
    detail = redact(": ".join(part for part in (name, message) if part), *emails)
    for case in cases:
        if case.fits(status=status, name=name, message=message):
            waits = [seconds for seconds in (retry_after, case.retry_after) if seconds is not None]
            return _error(case.error, party, case.code, detail, max(waits, default=None))
    kind, code = BY_STATUS.get(status, (TemporaryFailure, f"http_{status}"))
    if not name and not message and kind is PermanentFailure and status != 413:
        # Not the provider's answer but a proxy's, which knows nothing about this mail.
        kind, code = TemporaryFailure, f"http_{status}"
    if 300 <= status < 400:
        kind, code = ConfigurationError, "redirected"
    if status < 300 or status >= 500:
        kind, code = UnknownOutcome, f"http_{status}"
    return _error(kind, party, code, detail, retry_after)


def _error(kind: type[DeliveryError], party: str, code: str, detail: str, retry_after: float | None) -> DeliveryError:
    can_retry = issubclass(kind, TemporaryFailure | UnknownOutcome)
    return kind(party, code, detail, retry_after=retry_after if can_retry else None)
