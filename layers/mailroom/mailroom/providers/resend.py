"""Resend: https://resend.com/docs/api-reference/emails/send-email"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._client import QUOTA_WAIT, Case

__all__ = ["Resend"]

ENDPOINT = "https://api.resend.com"
HAS_IT = "invalid_idempotent_request"

# https://resend.com/docs/api-reference/errors. Seen in 2026: one name under several statuses, names that page lacks.
ERRORS = (
    Case(0, "missing_api_key", "", ConfigurationError, "bad_key"),
    Case(0, "invalid_api_key", "", ConfigurationError, "bad_key"),
    Case(0, "restricted_api_key", "", ConfigurationError, "bad_key"),
    Case(0, "suspended_api_key", "", ConfigurationError, "bad_key"),
    Case(400, "", "API key is invalid", ConfigurationError, "bad_key"),
    Case(0, "invalid_permission", "", ConfigurationError, "forbidden"),
    Case(0, "", "domain .*not verified", ConfigurationError, "unverified_sender"),
    Case(403, "", "only send testing emails", ConfigurationError, "test_mode"),
    Case(0, "invalid_from_address", "", ConfigurationError, "invalid_sender"),
    Case(422, "", "`from`", ConfigurationError, "invalid_sender"),
    Case(422, "", "`to`", PermanentFailure, "invalid_recipient"),
    Case(0, "daily_quota_exceeded", "", TemporaryFailure, "daily_quota", QUOTA_WAIT),
    Case(0, "monthly_quota_exceeded", "", TemporaryFailure, "monthly_quota", QUOTA_WAIT),
    Case(0, "email_above_quota", "", TemporaryFailure, "monthly_quota", QUOTA_WAIT),
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "concurrent_idempotent_requests", "", TemporaryFailure, "busy", 1.0),
    Case(0, "resource_locked", "", TemporaryFailure, "busy", 1.0),
    Case(409, "", "", TemporaryFailure, "busy", 1.0),
)


class Resend:
    """One key is one mail for 24 hours, so a try that got no answer may be repeated."""

    name: ClassVar = "resend"
    idempotent: ClassVar = True

    def __init__(self, api_key: str, transport: httpx.BaseTransport, endpoint: str = ENDPOINT) -> None:
        self._transport = transport
        self._one = httpx.URL(f"{endpoint}/emails")
        self._batch = httpx.URL(f"{endpoint}/emails/batch")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Resend":
        api_key = _client.secret(cls.name, values, "api_key")
        endpoint = _client.endpoint(cls.name, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint)

    def send(self, email: Email, key: str) -> Receipt:
        return self._post(self._one, _wire(email), key, 1)[0]

    def send_batch(self, emails: Sequence[Email], key: str) -> list[Receipt]:
        """Send up to a hundred mails in one request: all are taken or none. `key` stands for exactly these."""
        return self._post(self._batch, [_wire(email) for email in emails], key, len(emails))

    def _post(self, url: httpx.URL, body: Any, key: str, count: int) -> list[Receipt]:
        content = json.dumps(body, separators=(",", ":")).encode()
        headers = {**self._headers, "Idempotency-Key": key}
        answer = _client.post(self._transport, self.name, url, content, headers)
        said = answer.json()
        if answer.is_success:
            ids = _ids(said)
            if len(ids) != count:
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            wait = _client.hold_back(answer.headers)
            return [Receipt(id_, wait) for id_ in ids]
        name, message = str(said.get("name") or ""), str(said.get("message") or "")
        if answer.status == 409 and name == HAS_IT:
            return [Receipt("", repeated=True)] * count  # it has these mails from an earlier try, in other words
        wait_asked = _client.retry_after(answer.headers)
        raise _client.problem(self.name, ERRORS, answer.status, name, message, wait_asked)


def _ids(said: Mapping[str, Any]) -> list[str]:
    items = said["data"] if isinstance(said.get("data"), list) else [said]
    return [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"]]


def _wire(email: Email) -> dict[str, Any]:
    body: dict[str, Any] = {
        "from": wire_mailbox(Resend.name, email.from_),
        "to": [wire_address(Resend.name, email.to)],
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "headers": {"Content-Language": email.locale, **email.headers},
        "tags": [{"name": _tag(name), "value": _tag(value)} for name, value in email.tags.items() if value],
    }
    if email.reply_to:
        body["reply_to"] = wire_mailbox(Resend.name, email.reply_to)
    return body


def _tag(text: str) -> str:
    # As of 2026 a tag is made of ASCII letters, digits, _ and -; anything else is a 422.
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:256]
