"""What can go wrong, split by what the caller should do.

MailroomError
  x Refused          the caller's request is at fault: answer it with `status` and one plain sentence
    + Invalid        ... or with a sentence about each field that is wrong
  x SendError        a provider, or our own queue, table or parameter store, did not do as asked
    + Rejected       this mail will never be taken: stop
    + Unavailable    try again, after `retry_after` seconds if known; the next provider may be tried
    + Ambiguous      the bytes left and no answer came: only retry where a second copy is impossible or allowed
    + Misconfigured  a key, a domain, a permission: alarm, fail over, do not burn retries
"""

import re

__all__ = ["Ambiguous", "Invalid", "MailroomError", "Misconfigured", "Refused", "Rejected", "SendError", "Unavailable"]

DETAIL_LENGTH = 200
# Providers quote addresses, links and codes back at us; an error travels into logs and the ledger, they must not.
PRIVATE = re.compile(r"\S*@\S*|https?://\S+|(?<!\w)\d{4,}(?!\w)|\b(?:re|sk|SG|key|whsec)[_.-][\w.-]+")


class MailroomError(Exception):
    """The base of everything this package raises on purpose."""


class Refused(MailroomError):
    """The caller's request is at fault; `str()` is the sentence an end user may see."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Invalid(Refused):
    """Some of the request's fields are at fault; `problems` are pairs of a field and a sentence about it."""

    def __init__(self, status: int, *problems: tuple[str, str]) -> None:
        super().__init__(status, " ".join(f"{field}: {sentence}" for field, sentence in problems))
        self.problems = problems


class SendError(MailroomError):
    """A named party answered with `code`; `detail` is its wording with everything private taken out."""

    def __init__(self, party: str, code: str, detail: str = "", *, retry_after: float | None = None) -> None:
        self.party = party
        self.code = code
        self.detail = PRIVATE.sub("…", " ".join(detail.split()))[:DETAIL_LENGTH]
        self.retry_after = retry_after
        super().__init__(f"{party}: {code}" + (f" ({self.detail})" if self.detail else ""))


class Rejected(SendError):
    """This mail will never be taken."""


class Unavailable(SendError):
    """Nothing was taken; a later try may succeed."""


class Ambiguous(SendError):
    """The mail may or may not have been taken."""


class Misconfigured(SendError):
    """An operator has to act: a key, a domain, a permission, a malformed setting."""
