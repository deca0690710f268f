"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.providers import Receipt, _client
from mailroom.providers._address import wire_address
from mailroom.providers._client import QUOTA_WAIT, Answer, Case

__all__ = ["SendGrid"]

ENDPOINT = "https://api.sendgrid.com"

# https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
# A message is read as "field: words". Seen in logs of 2026: an account out of credits answers 401, like a bad key.
ERRORS = (
    Case(0, "", "maximum credits exceeded|exceeded your messaging limits", TemporaryFailure, "quota", QUOTA_WAIT),
    Case(401, "", "not authorized to send", ConfigurationError, "forbidden"),
    Case(401, "", "", ConfigurationError, "bad_key"),
    Case(403, "", "verified sender identity", ConfigurationError, "unverified_sender"),
    Case(403, "", "", ConfigurationError, "forbidden"),
    Case(400, "", r"^from\b", ConfigurationError, "invalid_sender"),
    Case(400, "", r"^personalizations\.\d+\.to\b", PermanentFailure, "invalid_recipient"),
    Case(413, "", "", PermanentFailure, "too_large"),
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
)
# A rewritten link is one that a mail scanner can follow before its reader does, and that points elsewhere.
NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}


class SendGrid:
    """Has no idempotency: a try without an answer may have been a mail."""

    name: ClassVar = "sendgrid"
    idempotent: ClassVar = False

    def __init__(self, api_key: str, transport: httpx.BaseTransport, endpoint: str = ENDPOINT) -> None:
        self._transport = transport
        self._url = httpx.URL(f"{endpoint}/v3/mail/send")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "SendGrid":
        api_key = _client.secret(cls.name, values, "api_key")
        endpoint = _client.endpoint(cls.name, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint)

    def send(self, email: Email, key: str) -> Receipt:
        content = json.dumps(_wire(email), separators=(",", ":")).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._headers)
        if answer.is_success:
            # The body is empty. Events call this mail by the id of this header and more behind a dot (2026).
            id_ = answer.headers.get("x-message-id", "")
            if not id_ and answer.status != 202:
                raise UnknownOutcome(self.name, "garbage", "its answer is not SendGrid's")
            return Receipt(id_, _client.hold_back(answer.headers))
        wait = _client.retry_after(answer.headers)
        raise _client.problem(self.name, ERRORS, answer.status, "", _message(answer), wait)


def _message(answer: Answer) -> str:
    errors = answer.json().get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return ": ".join(str(part) for part in (first.get("field"), first.get("message")) if part)


def _wire(email: Email) -> dict[str, Any]:
    parts = (("text/plain", email.text), ("text/html", email.html))  # in this order, or it is a 400
    body: dict[str, Any] = {
        "from": _mailbox(email.from_),
        "personalizations": [{"to": [{"email": wire_address(SendGrid.name, email.to)}]}],
        "subject": email.subject,
        "content": [{"type": type_, "value": value} for type_, value in parts if value],
        "headers": {"Content-Language": email.locale, **email.headers},
        "custom_args": dict(email.tags),
        "tracking_settings": NO_TRACKING,
    }
    if email.reply_to:
        body["reply_to"] = _mailbox(email.reply_to)
    if kind := email.tags.get("kind"):
        body["categories"] = [kind]
    return body


def _mailbox(mailbox: Mailbox) -> dict[str, str]:
    address = {"email": wire_address(SendGrid.name, mailbox.address)}
    return {**address, "name": mailbox.name} if mailbox.name else address
