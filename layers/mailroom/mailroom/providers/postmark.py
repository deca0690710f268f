"""Postmark: https://postmarkapp.com/developer/api/email-api"""

from collections.abc import Mapping
from typing import Any, ClassVar

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.json_fields import compact_json
from mailroom.model.redaction import redact
from mailroom.network.http import Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._cases import QUOTA_RETRY_SECONDS, Case, error_of

__all__ = ["PROVIDER", "Postmark"]

ENDPOINT = "https://api.postmarkapp.com"
STREAM = "outbound"  # the transactional stream that every new server has

# https://postmarkapp.com/developer/api/overview#error-codes
# `name` is Postmark's ErrorCode: 401, 405, 413, 429 and 500 among them are not HTTP statuses.
ERRORS = (
    Case(name="10", error=ConfigurationError, code="bad_key"),
    Case(name="100", error=TemporaryFailure, code="maintenance", retry_after=60.0),
    Case(name="300", message="'From'|sender signature", error=ConfigurationError, code="invalid_sender"),
    Case(name="300", message="'To'", error=PermanentFailure, code="invalid_recipient"),
    Case(name="400", error=ConfigurationError, code="unverified_sender"),
    Case(name="401", error=ConfigurationError, code="unverified_sender"),
    Case(name="405", error=TemporaryFailure, code="quota", retry_after=QUOTA_RETRY_SECONDS),
    Case(name="406", error=PermanentFailure, code="suppressed"),
    Case(name="412", error=ConfigurationError, code="test_mode"),
    Case(status=422, name="413", error=ConfigurationError, code="forbidden"),
    Case(name="429", error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(status=422, message="MessageStream", error=ConfigurationError, code="unknown_stream"),
    Case(status=413, error=PermanentFailure, code="too_large"),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
)


class Postmark:
    """Not idempotent: a request without an answer may have sent a mail."""

    name: ClassVar = "postmark"
    idempotent: ClassVar = False

    def __init__(
        self, server_token: str, transport: Transport, endpoint: str = ENDPOINT, message_stream: str = STREAM
    ) -> None:
        self._transport = transport
        self._url = Url.parse(f"{endpoint}/email")
        self._stream = message_stream
        self._headers = {"X-Postmark-Server-Token": server_token, "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Postmark":
        server_token = _client.secret(account, values, "server_token")
        endpoint = _client.endpoint(account, values, ENDPOINT)
        return cls(server_token, _client.shared(endpoint), endpoint, values.get("message_stream", "").strip() or STREAM)

    def send(self, email: Email, key: str) -> Receipt:
        content = compact_json(_payload(email, self._stream)).encode()
        answer = _client.post(self._transport, self.name, self._url, content, self._headers)
        body = answer.json()
        id_, code, message = body.get("MessageID"), body.get("ErrorCode", 0), str(body.get("Message") or "")
        # A 200 may be a refusal: by its ErrorCode, or (2026) only by the text of its message.
        if answer.is_success and "inactive address" in message.lower():
            raise PermanentFailure(self.name, "suppressed", redact(message, email))
        if answer.is_success and isinstance(id_, str) and id_ and code == 0:
            return Receipt(id_, _client.hold_back(answer.headers))
        if answer.is_success and not code:
            raise UnknownOutcome(self.name, "garbage", redact(message, email) or "its answer has no id")
        status = 422 if answer.is_success else answer.status
        name = str(code) if "ErrorCode" in body else ""
        raise error_of(self.name, ERRORS, status, name, message, [email], _client.retry_after(answer.headers))


def _payload(email: Email, stream: str) -> dict[str, Any]:
    headers = {"Content-Language": email.locale, **email.headers}
    payload: dict[str, Any] = {
        "From": wire_mailbox(Postmark.name, email.from_),
        "To": wire_address(Postmark.name, email.to),
        "Subject": email.subject,
        "HtmlBody": email.html,
        "TextBody": email.text,
        "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
        # As of 2026, names have up to 20 characters, values up to 80.
        "Metadata": {name[:20]: value[:80] for name, value in email.tags.items()},
        "MessageStream": stream,
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    if email.reply_to:
        payload["ReplyTo"] = wire_mailbox(Postmark.name, email.reply_to)
    if kind := email.tags.get("kind"):
        payload["Tag"] = kind
    if email.images:
        payload["Attachments"] = [
            {
                "Name": image.name,
                "Content": image.content,
                "ContentType": image.type,
                "ContentID": f"cid:{image.cid}",  # with the scheme of the reference in the HTML
            }
            for image in email.images
        ]
    return payload


PROVIDER = ProviderSpec(
    create=Postmark.from_settings,
    required=("server_token",),
    optional=("message_stream", "endpoint"),
    secrets=("server_token",),
    inline_images=True,
    domains_page="https://account.postmarkapp.com/signature_domains",
)
