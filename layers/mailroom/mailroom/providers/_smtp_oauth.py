"""Login to an SMTP relay with a token: OAuth 2.0 client credentials, and SASL XOAUTH2. Loaded only where it is set.

https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
"""

import json
import re
import smtplib
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple
from urllib.parse import urlencode

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.network.http import Transport, Url
from mailroom.providers import _client

__all__ = ["OAuthClient", "Token", "TokenSource", "authenticate"]

PARTY = "smtp"
SCOPE = "https://outlook.office365.com/.default"
ENTRA = "https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token"
KEYS = ("tenant_id", "token_url", "client_id", "client_secret", "scope")
EXAMPLE = '{"tenant_id": "…", "client_id": "…", "client_secret": "…"}'
TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")  # RFC 6750; Microsoft's have about 2 kB
RENEW_BEFORE_SECONDS = 300.0  # before a token expires
DEFAULT_LIFETIME_SECONDS = 600.0  # of a token whose response has no `expires_in`
MAX_LIFETIME_SECONDS = 24 * 3600.0

# The numbers of Microsoft's error_description; its text contains ids of the tenant.
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
AADSTS = re.compile(r"AADSTS(\d{5,7})")
HINTS = {
    "7000215": "the client secret is wrong: use the secret's value, not its id",
    "7000222": "the client secret has expired: create a new one in Entra",
    "700016": "the client_id is unknown in this tenant",
    "90002": "the tenant_id is unknown",
    "900023": "the tenant_id is malformed",
    "1002012": f"the scope must end with /.default, such as {SCOPE}",
}


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The setting `oauth`: the address that issues tokens, and the client's credentials."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = SCOPE

    @classmethod
    def parse(cls, text: str, account: str) -> "OAuthClient":
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise _malformed(account, f"must be a JSON object of texts, such as {EXAMPLE}")
        if unknown := sorted(values.keys() - set(KEYS)):
            raise _malformed(account, f"contains the unknown key {unknown[0]}: use {', '.join(KEYS)}")
        tenant_id, token_url, client_id, client_secret, scope = (values.get(key, "").strip() for key in KEYS)
        if not client_id or not client_secret:
            raise _malformed(account, "must contain client_id and client_secret")
        if not (token_url or TENANT_ID.fullmatch(tenant_id)):
            raise _malformed(account, "must contain the tenant_id of Entra, or the token_url of another server")
        try:
            url = Url.parse(token_url or ENTRA.format(tenant_id=tenant_id))
        except ValueError:
            url = Url("", "", 0, "")
        if url.scheme != "https" and not (url.scheme == "http" and url.host in _client.LOOPBACK):
            raise _malformed(account, "must have a token_url that is an https address, without a password")
        return cls(token_url or ENTRA.format(tenant_id=tenant_id), client_id, client_secret, scope or SCOPE)


class Token(NamedTuple):
    """A token; `is_new` where it was requested for this caller: if it is refused, the next would be, too."""

    value: str
    is_new: bool


class TokenSource:
    """The current token of a client: requested when it is first needed, and again shortly before it expires."""

    def __init__(
        self, client: OAuthClient, transport: Transport | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._transport = transport or _client.shared(client.token_url)
        self._clock = clock
        self._lock = Lock()  # of several threads one requests a token, and the others wait for it
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> Token:
        """Return a valid token; raise a DeliveryError where none is issued. Nothing of a mail has left then."""
        with self._lock:
            is_new = not self._token or self._clock() >= self._renew_at
            if is_new:
                self._token, lifetime = self._request()
                self._renew_at = self._clock() + max(lifetime - RENEW_BEFORE_SECONDS, lifetime / 2)
            return Token(self._token, is_new)

    def forget(self, token: Token) -> None:
        """Drop a token that the relay has refused, unless another thread has replaced it."""
        with self._lock:
            if self._token == token.value:
                self._token = ""

    def _request(self) -> tuple[str, float]:
        client = self._client
        form = {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scope": client.scope,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = _client.post(
                self._transport, PARTY, Url.parse(client.token_url), urlencode(form).encode(), headers
            )
        except UnknownOutcome as error:  # the outcome of the token's request, and not of a mail's
            raise TemporaryFailure(PARTY, "no_token", f"the token server did not answer: {error.detail}") from None
        except TemporaryFailure as error:
            raise TemporaryFailure(PARTY, "no_token", f"the token server is unreachable: {error.detail}") from None
        body = answer.json()
        token, lifetime = body.get("access_token"), body.get("expires_in", DEFAULT_LIFETIME_SECONDS)
        if answer.is_success and isinstance(token, str) and TOKEN.fullmatch(token):
            seconds = float(lifetime) if isinstance(lifetime, int | float) else DEFAULT_LIFETIME_SECONDS
            return token, min(max(seconds, 1.0), MAX_LIFETIME_SECONDS)
        if answer.status in (400, 401, 403, 404):
            raise ConfigurationError(PARTY, "bad_key", f"the token server answers {answer.status} {_reason(body)}")
        detail = f"the token server answers {answer.status} without a token"
        raise TemporaryFailure(PARTY, "no_token", detail, retry_after=_client.retry_after(answer.headers))


def authenticate(smtp: smtplib.SMTP, username: str, token: str) -> tuple[int, bytes]:
    """Send AUTH XOAUTH2; return the relay's final reply.

    A refusal begins with a challenge, 334 and a JSON object in base64. Only after an empty answer comes the 535.
    """
    initial = b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()
    code, reply = smtp.docmd("AUTH", f"XOAUTH2 {initial}")
    if code == 334:
        code, reply = smtp.docmd("")
    return code, reply


def _reason(body: dict[str, object]) -> str:
    """Return the error's name and number, and what to do about it; not its text, which contains ids of the tenant."""
    name = re.sub(r"[^a-z_]", "", str(body.get("error", "")))[:40]
    match = AADSTS.search(str(body.get("error_description", "")))
    number = f"AADSTS{match[1]}" if match else ""
    hint = HINTS.get(match[1], "") if match else ""
    hint = hint or "check tenant_id, client_id and client_secret"
    return f"{' '.join(filter(None, (name, number)))}: {hint}"


def _malformed(account: str, problem: str) -> ConfigurationError:
    return ConfigurationError("settings", "malformed", f"providers/{account}/oauth {problem}")
