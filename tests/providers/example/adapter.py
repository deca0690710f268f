"""Acme Mail, a made-up provider: https://docs.acme.example/send"""

import json
from collections.abc import Mapping
from typing import ClassVar

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.network.http import Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._cases import Case, error_of

__all__ = ["PROVIDER", "Acme"]

ENDPOINT = "https://api.acme.example"

# https://docs.acme.example/errors
ERRORS = (
    Case(status=403, message="not verified", error=ConfigurationError, code="unverified_sender"),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
)


class Acme:
    """Not idempotent: a request without an answer may have sent a mail."""

    name: ClassVar = "acme"
    idempotent: ClassVar = False

    def __init__(self, api_key: str, transport: Transport, endpoint: str = ENDPOINT) -> None:
        self._transport = transport
        self._url = Url.parse(f"{endpoint}/send")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Acme":
        api_key = _client.secret(account, values, "api_key")
        endpoint = _client.endpoint(account, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint)

    def send(self, email: Email, key: str) -> Receipt:
        payload = {
            "from": wire_mailbox(self.name, email.from_),
            "to": wire_address(self.name, email.to),
            "reply_to": wire_mailbox(self.name, email.reply_to) if email.reply_to else "",
            "subject": email.subject,
            "text": email.text,
            "html": email.html,
            "headers": {"Content-Language": email.locale, **email.headers},
            "metadata": dict(email.tags),
            "track": False,
        }
        answer = _client.post(self._transport, self.name, self._url, json.dumps(payload).encode(), self._headers)
        body = answer.json()
        if answer.is_success:
            if not isinstance(body.get("id"), str) or not body["id"]:
                raise UnknownOutcome(self.name, "garbage", "its answer has no id")
            return Receipt(body["id"], _client.hold_back(answer.headers))
        message, retry_after = str(body.get("error") or ""), _client.retry_after(answer.headers)
        raise error_of(self.name, ERRORS, answer.status, "", message, [email], retry_after)


PROVIDER = ProviderSpec(
    create=Acme.from_settings,
    required=("api_key",),
    optional=("endpoint",),
    secrets=("api_key",),
    domains_page="https://console.acme.example/domains",
)
