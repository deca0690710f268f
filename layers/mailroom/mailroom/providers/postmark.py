"""Postmark: https://postmarkapp.com/developer/api/email-api"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._client import QUOTA_WAIT, Case

__all__ = ["Postmark"]

ENDPOINT = "https://api.postmarkapp.com"
STREAM = "outbound"  # the transactional stream that every server has from its first day

# https://postmarkapp.com/developer/api/overview#error-codes
# The names are Postmark's own ErrorCode: 401, 405, 413, 429 and 500 among them are not HTTP statuses.
ERRORS = (
    Case(0, "10", "", ConfigurationError, "bad_key"),
    Case(0, "100", "", TemporaryFailure, "maintenance", 60.0),
    Case(0, "300", "'From'|sender signature", ConfigurationError, "invalid_sender"),
    Case(0, "300", "'To'", PermanentFailure, "invalid_recipient"),
    Case(0, "400", "", ConfigurationError, "unverified_sender"),
    Case(0, "401", "", ConfigurationError, "unverified_sender"),
    Case(0, "405", "", TemporaryFailure, "quota", QUOTA_WAIT),
    Case(0, "406", "", PermanentFailure, "suppressed"),
    Case(0, "412", "", ConfigurationError, "test_mode"),
    Case(422, "413", "", ConfigurationError, "forbidden"),
    Case(0, "429", "", TemporaryFailure, "rate_limited", 1.0),
    Case(422, "", "MessageStream", ConfigurationError, "unknown_stream"),
    Case(413, "", "", PermanentFailure, "too_large"),
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
)


class Postmark:
    """Has no idempotency: a try without an answer may have been a mail."""

    name: ClassVar = "postmark"
    idempotent: ClassVar = False

    def __init__(
        self, server_token: str, transport: httpx.BaseTransport, endpoint: str = ENDPOINT, message_stream: str = STREAM
    ) -> None:
        self._transport = transport
        self._url = httpx.URL(f"{endpoint}/email")
        self._stream = message_stream
        self._headers = {"X-Postmark-Server-Token": server_token, "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Postmark":
        server_token = _client.secret(cls.name, values, "server_token")
        endpoint = _client.endpoint(cls.name, values, ENDPOINT)
        return cls(server_token, _client.shared(endpoint), endpoint, values.get("message_stream", "").strip() or STREAM)

    def send(self, email: Email, key: str) -> Receipt:
        content = json.dumps(_wire(email, self._stream), separators=(",", ":")).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._headers)
        said = answer.json()
        id_, code, message = said.get("MessageID"), said.get("ErrorCode", 0), str(said.get("Message") or "")
        # A 200 says that it was not sent, too: with an ErrorCode, or (2026) only in the words of its message.
        if answer.is_success and "inactive address" in message.lower():
            raise PermanentFailure(self.name, "suppressed", message)
        if answer.is_success and isinstance(id_, str) and id_ and code == 0:
            return Receipt(id_, _client.hold_back(answer.headers))
        if answer.is_success and not code:
            raise UnknownOutcome(self.name, "garbage", message or "its answer has no id")
        status = 422 if answer.is_success else answer.status
        name = str(code) if "ErrorCode" in said else ""
        raise _client.problem(self.name, ERRORS, status, name, message, _client.retry_after(answer.headers))


def _wire(email: Email, stream: str) -> dict[str, Any]:
    headers = {"Content-Language": email.locale, **email.headers}
    body: dict[str, Any] = {
        "From": wire_mailbox(Postmark.name, email.from_),
        "To": wire_address(Postmark.name, email.to),
        "Subject": email.subject,
        "HtmlBody": email.html,
        "TextBody": email.text,
        "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
        # As of 2026: a name of up to 20 characters, a value of up to 80.
        "Metadata": {name[:20]: value[:80] for name, value in email.tags.items()},
        "MessageStream": stream,
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    if email.reply_to:
        body["ReplyTo"] = wire_mailbox(Postmark.name, email.reply_to)
    if kind := email.tags.get("kind"):
        body["Tag"] = kind
    return body
