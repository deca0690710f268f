"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""

from collections.abc import Mapping
from typing import Any, ClassVar

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.json_fields import compact_json
from mailroom.model.mailbox import Mailbox
from mailroom.network.http import Answer, Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import wire_address
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case, error_of

__all__ = ["PROVIDER", "SendGrid"]

ENDPOINT = "https://api.sendgrid.com"

# https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
# `message` is matched against "field: message". Seen in 2026: an account without credits answers 401, like a bad key.
ERRORS = (
    Case(
        message="maximum credits exceeded|exceeded your messaging limits",
        error=TemporaryFailure,
        code="quota",
        retry_after=QUOTA_RETRY_SECONDS,
    ),
    Case(status=401, message="not authorized to send", error=ConfigurationError, code="forbidden"),
    Case(status=401, error=ConfigurationError, code="bad_key"),
    Case(status=403, message="verified sender identity", error=ConfigurationError, code="unverified_sender"),
    Case(status=403, error=ConfigurationError, code="forbidden"),
    Case(status=400, message=r"^from\b", error=ConfigurationError, code="invalid_sender"),
    Case(status=400, message=r"^personalizations\.\d+\.to\b", error=PermanentFailure, code="invalid_recipient"),
    Case(status=413, error=PermanentFailure, code="too_large"),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
)
# A rewritten link points to another host, and a mail scanner can follow it before the recipient does.
NO_TRACKING = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}


class SendGrid:
    """Not idempotent: a request without an answer may have sent a mail."""

    name: ClassVar = "sendgrid"
    idempotent: ClassVar = False

    def __init__(self, api_key: str, transport: Transport, endpoint: str = ENDPOINT) -> None:
        self._transport = transport
        self._url = Url.parse(f"{endpoint}/v3/mail/send")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "SendGrid":
        api_key = _client.secret(account, values, "api_key")
        endpoint = _client.endpoint(account, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint)

    def send(self, email: Email, key: str) -> Receipt:
        content = compact_json(_payload(email)).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._headers)
        if answer.is_success:
            # The body is empty. In events, the id is this header's value with a dot and a suffix (2026).
            id_ = answer.headers.get("x-message-id", "")
            if not id_ and answer.status != 202:
                raise UnknownOutcome(self.name, "garbage", "its answer is not SendGrid's")
            return Receipt(id_, _client.hold_back(answer.headers))
        retry_after = _client.retry_after(answer.headers)
        raise error_of(self.name, ERRORS, answer.status, "", _message(answer), [email], retry_after)


def _message(answer: Answer) -> str:
    errors = answer.json().get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return ": ".join(str(part) for part in (first.get("field"), first.get("message")) if part)


def _payload(email: Email) -> dict[str, Any]:
    parts = (("text/plain", email.text), ("text/html", email.html))  # any other order is a 400
    payload: dict[str, Any] = {
        "from": _mailbox(email.from_),
        "personalizations": [{"to": [{"email": wire_address(SendGrid.name, email.to)}]}],
        "subject": email.subject,
        "content": [{"type": type_, "value": value} for type_, value in parts if value],
        "headers": {"Content-Language": email.locale, **email.headers},
        "custom_args": dict(email.tags),
        "tracking_settings": NO_TRACKING,
    }
    if email.reply_to:
        payload["reply_to"] = _mailbox(email.reply_to)
    if kind := email.tags.get("kind"):
        payload["categories"] = [kind]
    if email.images:
        payload["attachments"] = [
            {
                "filename": image.name,
                "content": image.content,
                "type": image.type,
                "content_id": image.cid,
                "disposition": "inline",
            }
            for image in email.images
        ]
    return payload


def _mailbox(mailbox: Mailbox) -> dict[str, str]:
    address = {"email": wire_address(SendGrid.name, mailbox.address)}
    return {**address, "name": mailbox.name} if mailbox.name else address


PROVIDER = ProviderSpec(
    create=SendGrid.from_settings,
    required=("api_key",),
    optional=("endpoint",),
    secrets=("api_key",),
    inline_images=True,
    domains_page="https://app.sendgrid.com/settings/sender_auth",
)
