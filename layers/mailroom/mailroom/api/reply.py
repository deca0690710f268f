"""Replies of the send function, and the one place that turns errors into them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailroom.errors import ClaimedElsewhere, DeliveryError, InvalidRequest, RequestError
from mailroom.model.message import Message
from mailroom.model.outcome import Outcome, Status
from mailroom.sources.send_request import FIELDS

__all__ = ["Reply"]

HTTP_STATUS: Mapping[str, int] = {
    Status.ACCEPTED: 202,
    Status.SENT: 200,
    Status.SKIPPED: 200,
    Status.FAILED: 502,  # Bad Gateway: no provider accepted it
    Status.UNKNOWN: 504,  # Gateway Timeout: a provider did not answer
}
# Field names that may be logged. Any other is the caller's text, which may be a code.
KNOWN_FIELDS = frozenset(FIELDS) | {"authorization", "body", "id", "idempotency-key", "messages"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one request, as HTTP status, body and headers. The other fields are for the log.

    `outcome` is None where the message had its outcome before; `parts` are the replies to the messages of a batch.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    message: Message | None = None
    outcome: Outcome | None = None
    error: Exception | None = None
    parts: tuple["Reply", ...] = ()
    started: float = 0.0

    @classmethod
    def of(cls, message: Message, status: str, reason: str = "", provider: str = "", provider_id: str = "") -> "Reply":
        """Return the reply that a message has this status; what is empty is left out."""
        optional = {"reason": reason, "provider": provider, "provider_id": provider_id}
        body = {"message_id": message.id, "status": status} | {name: text for name, text in optional.items() if text}
        return cls(HTTP_STATUS[status], body)

    @classmethod
    def of_error(cls, error: Exception, message: Message | None = None) -> "Reply":
        """Return the reply to a request that failed. With a `message`, a later attempt may find it half done."""
        match error:
            case RequestError():
                return cls._refusal(error)
            case ClaimedElsewhere():
                problem = ("idempotency_key", "This mail is being sent at this moment: ask again in a second.")
                return replace(cls._refusal(InvalidRequest(409, problem)), headers={"retry-after": "1"})
        status, reason = (503, "unavailable") if isinstance(error, DeliveryError) else (500, "crashed")
        if message:
            body = {"message_id": message.id, "status": Status.UNKNOWN, "reason": reason}
            return cls(status, body, {"retry-after": "5"}, error=error)
        sentence = "Nothing was accepted: Mailroom is not available at the moment. Please try again."
        return replace(cls._refusal(RequestError(status, sentence)), headers={"retry-after": "5"}, error=error)

    @classmethod
    def _refusal(cls, error: RequestError) -> "Reply":
        problems = error.problems if isinstance(error, InvalidRequest) else (("body", error.sentence),)
        errors = [{"field": name, "message": sentence} for name, sentence in problems]
        headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
        return cls(error.status, {"status": "refused", "errors": errors}, headers, error=error)

    @property
    def invalid_fields(self) -> list[str]:
        """Return the names of the fields that a refusal is about, as far as they may be logged."""
        names = {error["field"].partition(".")[0] for error in self.body["errors"]}
        return sorted(name if name in KNOWN_FIELDS else "unknown" for name in names)
