"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages"""

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

import httpx

from mailroom.errors import ConfigurationError, PermanentFailure, TemporaryFailure, UnknownOutcome
from mailroom.model.email import Email
from mailroom.providers import Receipt, _client
from mailroom.providers._address import wire_address, wire_mailbox
from mailroom.providers._client import Case

__all__ = ["Mailgun"]

ENDPOINT = "https://api.mailgun.net"

# https://documentation.mailgun.com/docs/mailgun/quickstart-guide/responses, and the messages that wrappers quote.
# As of 2026 how long to wait stands in the text of a 429, as seconds or as a date.
ERRORS = (
    Case(401, "", "", ConfigurationError, "bad_key"),  # its body is the bare word Forbidden
    Case(404, "", "domain not found", ConfigurationError, "unknown_domain"),
    Case(0, "", "domain is unverified", ConfigurationError, "unverified_sender"),
    Case(0, "", "for test purposes only", ConfigurationError, "test_mode"),
    Case(429, "", "", TemporaryFailure, "rate_limited", 1.0),
    Case(0, "", "not allowed to send", ConfigurationError, "forbidden"),
    Case(400, "", "from'? parameter", ConfigurationError, "invalid_sender"),
    Case(400, "", "to'? parameter", PermanentFailure, "invalid_recipient"),
    Case(413, "", "", PermanentFailure, "too_large"),
)
# Mailgun fills these in wherever they stand, and what a stranger wrote may stand in a mail.
# https://documentation.mailgun.com/docs/mailgun/user-manual/tracking-messages/tracking-unsubscribes (2026)
PLACEHOLDER = re.compile(r"%(?=(?:recipient|unsubscribe_|tag_unsubscribe_|mailing_list_)[\w.]*%)", re.IGNORECASE)
WORD_JOINER = "\u2060"
BOUNDARY = secrets.token_hex(16)  # nobody who writes into a mail can know it


class Mailgun:
    """Has no idempotency: a try without an answer may have been a mail."""

    name: ClassVar = "mailgun"
    idempotent: ClassVar = False

    def __init__(
        self, api_key: str, transport: httpx.BaseTransport, endpoint: str = ENDPOINT, domain: str = ""
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._domain = domain
        self._headers = {
            "Authorization": f"Basic {b64encode(f'api:{api_key}'.encode()).decode()}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> "Mailgun":
        api_key = _client.secret(cls.name, values, "api_key")
        endpoint = _client.endpoint(cls.name, values, ENDPOINT)
        return cls(api_key, _client.shared(endpoint), endpoint, values.get("domain", "").strip())

    def send(self, email: Email, key: str) -> Receipt:
        domain = self._domain or wire_address(self.name, email.from_.address).rpartition("@")[2]
        url = httpx.URL(f"{self._endpoint}/v3/{quote(domain, safe='')}/messages")
        answer = _client.post(self._transport, self.name, url, _multipart(_wire(email)), self._headers)
        said = answer.json()
        id_, message = said.get("id"), str(said.get("message") or "")
        if answer.is_success and isinstance(id_, str) and id_ and message.startswith("Queued"):
            return Receipt(id_.strip("<>"), _client.hold_back(answer.headers))
        if answer.is_success and b"Mailgun Magnificent API" in answer.content:
            # The greeting of a path that does not exist, with a 200 (seen since 2016).
            raise ConfigurationError(self.name, "not_found", "no such path: look at the endpoint and the domain")
        if answer.is_success:
            raise UnknownOutcome(self.name, "garbage", message or "its answer has no id")
        wait = _client.retry_after(answer.headers, message)
        raise _client.problem(self.name, ERRORS, answer.status, "", message, wait)


def _wire(email: Email) -> dict[str, str]:
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


def _multipart(form: Mapping[str, str]) -> bytes:
    """Write a form so that its values travel as they are: percent signs for all of a mail cost more than sending it."""
    parts = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{form[name]}\r\n' for name in form)
    return "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode(errors="replace")
