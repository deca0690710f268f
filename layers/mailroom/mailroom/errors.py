"""The errors of this package, split by what the caller should do.

MailroomError
  x RequestError            the caller's request is at fault: answer it with `status` and one plain sentence
    + InvalidRequest        ... or with a sentence about each invalid field
  x DeliveryError           a provider, or our own queue, table or parameter store, did not do its part
    + PermanentFailure      this mail will never be accepted: stop
    + TemporaryFailure      retry after `retry_after` seconds, if known; the next provider may be tried
      - ClaimedElsewhere    another process is working on this message: its lease ends within `retry_after` seconds
    + UnknownOutcome        the bytes left and no answer came: retry only where a second copy is impossible or allowed
    + ConfigurationError    a key, a domain, a permission: alarm, fail over, do not burn retries
    + AwsError              AWS understood the call and refused it (`aws/client.py`)
"""

from typing import ClassVar

__all__ = [
    "ClaimedElsewhere",
    "ConfigurationError",
    "DeliveryError",
    "InvalidRequest",
    "PermanentFailure",
    "RequestError",
    "TemporaryFailure",
    "UnknownOutcome",
]


class MailroomError(Exception):
    """The base of everything this package raises on purpose."""


class RequestError(MailroomError):
    """The caller's request is at fault; `str()` is the sentence an end user may see, `reason` is for the log alone."""

    def __init__(self, status: int, sentence: str, *, reason: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.reason = reason


class InvalidRequest(RequestError):
    """Some of the request's fields are invalid; `problems` are pairs of a field and a sentence about it."""

    def __init__(self, status: int, *problems: tuple[str, str]) -> None:
        super().__init__(status, " ".join(f"{field}: {sentence}" for field, sentence in problems))
        self.problems = problems


class DeliveryError(MailroomError):
    """A failure of a party: a provider, an AWS service or our settings. `detail` is for operators.

    `detail` reaches logs and the ledger: whoever raises an error with words from outside redacts them (`redaction.py`).

    `category` names the error in metrics and, in lower case, in ledger rows. Alarms and old rows depend on it.
    """

    category: ClassVar[str] = "SendError"

    def __init__(self, party: str, code: str, detail: str = "", *, retry_after: float | None = None) -> None:
        self.party = party
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(f"{party}: {code}" + (f" ({self.detail})" if self.detail else ""))


class PermanentFailure(DeliveryError):
    """This mail will never be accepted."""

    category = "Rejected"


class TemporaryFailure(DeliveryError):
    """Nothing was accepted; a retry may succeed."""

    category = "Unavailable"


class ClaimedElsewhere(TemporaryFailure):
    """Another process is working on this message."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("ledger", "claimed_by_another", retry_after=retry_after)


class UnknownOutcome(DeliveryError):
    """The mail may or may not have been accepted."""

    category = "Ambiguous"


class ConfigurationError(DeliveryError):
    """An operator has to act: a key, a domain, a permission, a malformed setting."""

    category = "Misconfigured"
