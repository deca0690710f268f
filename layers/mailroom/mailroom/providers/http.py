"""A mail service of your own, docs/providers/http.md: one POST per mail, signed as https://www.standardwebhooks.com"""

import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.model.json_fields import compact_json
from mailroom.network.http import Transport, Url
from mailroom.network.signed_webhooks import signed_headers
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._cases import Case, error_of

__all__ = ["PROVIDER", "Http"]

MIN_SECRET_BYTES = 24  # by the standard

# docs/providers/http.md. Every other status has its usual meaning.
ERRORS = (
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(status=503, error=TemporaryFailure, code="maintenance"),
)


class Http:
    """Idempotent: the contract requires the service to take a webhook-id once, so a request may be repeated."""

    name: ClassVar = "http"
    idempotent: ClassVar = True

    def __init__(
        self, url: str, secrets: Sequence[bytes], transport: Transport, clock: Callable[[], float] = time.time
    ) -> None:
        self._url = Url.parse(url)
        self._secrets = secrets
        self._transport = transport
        self._clock = clock

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Http":
        secrets = [_decode_secret(line, account) for line in values.get("secret", "").split()]
        if not secrets:
            raise _malformed_secret(account)
        endpoint = _client.endpoint(account, values)
        return cls(endpoint, secrets, _client.shared(endpoint))

    def send(self, email: Email, key: str) -> Receipt:
        content = compact_json(_payload(email)).encode()
        signed = signed_headers(self._secrets, key, self._clock(), content)
        headers = {"Content-Type": "application/json", **signed}
        answer = _client.post(self._transport, self.name, self._url, content, headers)
        body = answer.json()
        if answer.is_success:
            id_ = body.get("id")
            if not isinstance(id_, str) or not id_:
                # A web page that answers every request with 200 must not lose mail.
                raise UnknownOutcome(self.name, "garbage", "its answer has no id: see docs/providers/http.md")
            return Receipt(id_, _client.retry_after(answer.headers) or 0.0)
        message = str(body.get("message") or "")
        raise error_of(self.name, ERRORS, answer.status, "", message, [email], _client.retry_after(answer.headers))


def _payload(email: Email) -> dict[str, Any]:
    data: dict[str, Any] = {
        "from": asdict(email.from_),
        "to": email.to,
        "reply_to": asdict(email.reply_to) if email.reply_to else None,
        "subject": email.subject,
        "text": email.text,
        "html": email.html,
        "headers": dict(email.headers),
        "tags": dict(email.tags),
        "locale": email.locale,
    }
    if email.images:
        data["images"] = [asdict(image) for image in email.images]
    return {"type": "email.send", "data": data}


def _decode_secret(secret: str, account: str) -> bytes:
    try:
        decoded = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) < MIN_SECRET_BYTES:
        raise _malformed_secret(account)
    return decoded


def _malformed_secret(account: str) -> ConfigurationError:
    hint = f"must be whsec_ and base64 of {MIN_SECRET_BYTES} bytes or more; two lines to rotate"
    return ConfigurationError("settings", "malformed", f"providers/{account}/secret {hint}")


PROVIDER = ProviderSpec(
    create=Http.from_settings,
    required=("endpoint", "secret"),
    inline_images=True,
    secrets=("endpoint", "secret"),  # a URL of your own may contain a token
)
