"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages"""

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email, InlineImage
from mailroom.model.redaction import redact
from mailroom.network.http import Transport, Url
from mailroom.providers import ProviderSpec, Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._cases import Case, error_of

__all__ = ["PROVIDER", "Mailgun"]

ENDPOINT = "https://api.mailgun.net"

# https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses, and messages quoted by client libraries.
# As of 2026 the message of a 429 contains the time to wait, in seconds or as a date.
ERRORS = (
    Case(status=401, error=ConfigurationError, code="bad_key"),  # the body is the plain text `Forbidden`
    Case(status=404, message="domain not found", error=ConfigurationError, code="unknown_domain"),
    Case(message="domain is unverified", error=ConfigurationError, code="unverified_sender"),
    Case(message="for test purposes only", error=ConfigurationError, code="test_mode"),
    Case(status=429, error=TemporaryFailure, code="rate_limited", retry_after=1.0),
    Case(message="not allowed to send", error=ConfigurationError, code="forbidden"),
    Case(status=400, message="from'? parameter", error=ConfigurationError, code="invalid_sender"),
    Case(status=400, message="to'? parameter", error=PermanentFailure, code="invalid_recipient"),
    Case(status=413, error=PermanentFailure, code="too_large"),
)
# Mailgun replaces these anywhere in a mail, also in names that strangers chose.
# https://documentation.mailgun.com/docs/mailgun/user-manual/tracking-messages/tracking-unsubscribes (2026)
PLACEHOLDER = re.compile(r"%(?=(?:recipient|unsubscribe_|tag_unsubscribe_|mailing_list_)[\w.]*%)", re.IGNORECASE)
WORD_JOINER = "\u2060"
BOUNDARY = secrets.token_hex(16)  # unknown to whoever chooses names that appear in a mail


class Mailgun:
    """Not idempotent: a request without an answer may have sent a mail."""

    name: ClassVar = "mailgun"
    idempotent: ClassVar = False

    def __init__(self, api_key: str, transport: Transport, endpoint: str = ENDPOINT, domain: str = "") -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._domain = domain
        self._headers = {
            "Authorization": f"Basic {b64encode(f'api:{api_key}'.encode()).decode()}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, str], account: str = name) -> "Mailgun":
        api_key = _client.secret(account, values, "api_key")
        endpoint = _client.endpoint(account, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint, values.get("domain", "").strip())

    def send(self, email: Email, key: str) -> Receipt:
        domain = self._domain or wire_address(self.name, email.from_.address).rpartition("@")[2]
        url = Url.parse(f"{self._endpoint}/v3/{quote(domain, safe='')}/messages")
        answer = _client.post(self._transport, self.name, url, _multipart(_form(email), email.images), self._headers)
        body = answer.json()
        id_, message = body.get("id"), str(body.get("message") or "")
        if answer.is_success and isinstance(id_, str) and id_ and message.startswith("Queued"):
            return Receipt(id_.strip("<>"), _client.hold_back(answer.headers))
        if answer.is_success and b"Mailgun Magnificent API" in answer.content:
            # The answer to any unknown path, with a 200 (seen since 2016).
            raise ConfigurationError(self.name, "not_found", "no such path: check the endpoint and the domain")
        if answer.is_success:
            raise UnknownOutcome(self.name, "garbage", redact(message, email) or "its answer has no id")
        retry_after = _client.retry_after(answer.headers, message)
        raise error_of(self.name, ERRORS, answer.status, "", message, [email], retry_after)


def _form(email: Email) -> dict[str, str]:
    form = {
        "from": wire_mailbox(Mailgun.name, email.from_),
        "to": wire_address(Mailgun.name, email.to),
        "subject": email.subject,
        "text": email.text,
        "html": email.html,
        **{f"h:{name}": value for name, value in {"Content-Language": email.locale, **email.headers}.items()},
        **{f"v:{name}": value for name, value in email.tags.items()},
        "o:tag": email.tags.get("kind", ""),
        "o:tracking": "no",
        "o:tracking-clicks": "no",
        "o:tracking-opens": "no",
    }
    if email.reply_to:
        form["h:Reply-To"] = wire_mailbox(Mailgun.name, email.reply_to)
    return {name: PLACEHOLDER.sub(f"%{WORD_JOINER}", value) for name, value in form.items() if value}


def _multipart(form: Mapping[str, str], images: Sequence[InlineImage]) -> bytes:
    """Encode a form as multipart: percent-encoding a whole mail takes more CPU than sending it."""
    parts = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{form[name]}\r\n' for name in form)
    text = "".join(parts).encode(errors="replace")
    return text + b"".join(map(_file, images)) + f"--{BOUNDARY}--\r\n".encode()


def _file(image: InlineImage) -> bytes:
    """Encode an image as a file of the form: its file name becomes its content id."""
    disposition = f'Content-Disposition: form-data; name="inline"; filename="{image.cid}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: {image.type}\r\n\r\n"
    return head.encode() + b64decode(image.content) + b"\r\n"


PROVIDER = ProviderSpec(
    create=Mailgun.from_settings,
    required=("api_key",),
    optional=("domain", "endpoint"),
    secrets=("api_key",),
    inline_images=True,
    domains_page="https://app.mailgun.com/mg/sending/domains",
)
