"""Resend: https://resend.com/docs/api-reference/emails/send-email"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.json_fields import compact_json
from mailroom.network.http import Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case, error_of
from mailroom.providers._tags import ascii_tag

__all__ = ["PROVIDER", "Resend"]

ENDPOINT = "https://api.resend.com"
SAME_KEY_OTHER_BODY = "invalid_idempotent_request"

# https://resend.com/docs/api-reference/errors. Seen in 2026: one name with several statuses, names not on that page.
ERRORS = (
    Case(name="missing_api_key", error=ConfigurationError, code="bad_key"),
    Case(name="invalid_api_key", error=ConfigurationError, code="bad_key"),
    Case(name="restricted_api_key", error=ConfigurationError, code="bad_key"),
    Case(name="suspended_api_key", error=ConfigurationError, code="bad_key"),
    Case(status=400, message="API key is invalid", error=ConfigurationError, code="bad_key"),
    Case(name="invalid_permission", error=ConfigurationError, code="forbidden"),
    Case(message="domain .*not verified", error=ConfigurationError, code="unverified_sender"),
    Case(status=403, message="only send testing emails", error=ConfigurationError, code="test_mode"),
    Case(name="invalid_from_address", error=ConfigurationError, code="invalid_sender"),
    Case(status=422, message="`from`", error=ConfigurationError, code="invalid_sender"),
    Case(status=422, message="`to`", error=PermanentFailure, code="invalid_recipient"),
    Case(name="daily_quota_exceeded", error=TemporaryFailure, code="daily_quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(name="monthly_quota_exceeded", error=TemporaryFailure, code="monthly_quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(name="email_above_quota", error=TemporaryFailure, code="monthly_quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(name="concurrent_idempotent_requests", error=TemporaryFailure, code="busy", retry_after=1.0),
    Case(name="resource_locked", error=TemporaryFailure, code="busy", retry_after=1.0),
    Case(status=409, error=TemporaryFailure, code="busy", retry_after=1.0),
)


class Resend:
    """Idempotent: Resend remembers a key for 24 hours, so a request without an answer may be repeated."""

    name: ClassVar = "resend"
    idempotent: ClassVar = True

    def __init__(self, api_key: str, transport: Transport, endpoint: str = ENDPOINT) -> None:
        self._transport = transport
        self._single_url = Url.parse(f"{endpoint}/emails")
        self._batch_url = Url.parse(f"{endpoint}/emails/batch")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Resend":
        api_key = _client.secret(account, values, "api_key")
        endpoint = _client.endpoint(account, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint)

    def send(self, email: Email, key: str) -> Receipt:
        return self._post(self._single_url, _payload(email), key, [email])[0]

    def send_batch(self, emails: Sequence[Email], key: str) -> list[Receipt]:
        """Send up to a hundred mails in one request, which takes all or none. `key` stands for exactly these mails."""
        return self._post(self._batch_url, [_payload(email) for email in emails], key, emails)

    def _post(self, url: Url, payload: Any, key: str, emails: Sequence[Email]) -> list[Receipt]:
        content = compact_json(payload).encode()
        headers = {**self._headers, "Idempotency-Key": key}
        answer = _client.post(self._transport, self.name, url, content, headers)
        body = answer.json()
        if answer.is_success:
            ids = _ids(body)
            if len(ids) != len(emails):
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            wait = _client.hold_back(answer.headers)
            return [Receipt(id_, wait) for id_ in ids]
        name, message = str(body.get("name") or ""), str(body.get("message") or "")
        if answer.status == 409 and name == SAME_KEY_OTHER_BODY:
            return [Receipt("", repeated=True)] * len(emails)  # it has these mails from an earlier request
        retry_after = _client.retry_after(answer.headers)
        raise error_of(self.name, ERRORS, answer.status, name, message, emails, retry_after)


def _ids(body: Mapping[str, Any]) -> list[str]:
    items = body["data"] if isinstance(body.get("data"), list) else [body]
    return [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"]]


def _payload(email: Email) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "from": wire_mailbox(Resend.name, email.from_),
        "to": [wire_address(Resend.name, email.to)],
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "headers": {"Content-Language": email.locale, **email.headers},
        "tags": [{"name": ascii_tag(name), "value": ascii_tag(value)} for name, value in email.tags.items() if value],
    }
    if email.reply_to:
        payload["reply_to"] = wire_mailbox(Resend.name, email.reply_to)
    if email.images:
        payload["attachments"] = [
            {
                "filename": image.name,
                "content": image.content,
                "content_type": image.type,
                "content_id": image.cid,
            }
            for image in email.images
        ]
    return payload


PROVIDER = ProviderSpec(
    create=Resend.from_settings,
    required=("api_key",),
    optional=("endpoint",),
    secrets=("api_key",),
    inline_images=True,
    batch=True,
)
