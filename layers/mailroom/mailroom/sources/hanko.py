"""Hanko's webhook `email.send`: https://docs.hanko.io/guides/webhooks

The mail is in a JSON Web Token, `data`, next to the texts of Hanko's own templates. Hanko waits 10 s, repeats nothing
and takes any status below 400 (hanko@f742d496, read 2026-11).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent
from mailroom.request import Request
from mailroom.sources.key_sets import key_set
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.authentication import Unauthenticated, equals_any
from mailroom.webhooks.json_access import accepted_languages, get, text, unix_time
from mailroom.webhooks.json_web_signatures import require_token

__all__ = ["SOURCE"]

SUBJECT = "hanko webhooks"  # of its webhooks' tokens: those of its users' sessions are signed with the same keys
EVENT = "email.send"
KINDS: Mapping[str, str] = {
    "login": "sign-in-code",
    "email_verification": "email-confirmation",
    "recovery": "password-reset",
}
EVENTS: Mapping[str, SecurityEvent] = {  # by the template of a security notification
    "email_create": SecurityEvent.SIGN_IN_METHOD_LINKED,
    "email_delete": SecurityEvent.SIGN_IN_METHOD_UNLINKED,
    "primary_email_update": SecurityEvent.EMAIL_CHANGED,
    "password_update": SecurityEvent.PASSWORD_CHANGED,
    "passkey_create": SecurityEvent.PASSKEY_ADDED,
    "mfa_create": SecurityEvent.FACTOR_ADDED,
    "mfa_delete": SecurityEvent.FACTOR_REMOVED,
}
# To an address without an account, or with one already. There is no code, and nothing that we could say to a stranger.
WITHOUT_MAIL = ("email_login_attempted", "email_registration_attempted")


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Return the claims of the token in the body; refuse one that is not of a webhook of this project."""
    token = _token(request)
    claims = require_token(token, key_set(credentials), request.received_at)
    if text(claims, "sub") != SUBJECT:
        raise Unauthenticated("the token is not a webhook's")
    audience = get(claims, "aud")
    names = [name for name in (audience if isinstance(audience, list) else [audience]) if isinstance(name, str)]
    accepted = [line.encode() for line in credentials.lines("audience")]
    if not sum([equals_any(name.encode("utf-8", "surrogatepass"), accepted) for name in names]):
        raise Unauthenticated("the token is for another audience")
    # Nobody can guess a signature: the token identifies its mail.
    return {**claims, "digest": hashlib.sha256(token.encode()).hexdigest()}


def _token(request: Request) -> str:
    try:
        body = request.json()
    except RequestError as error:
        raise Unauthenticated("the body has no token") from error
    token = get(body, "token")
    return token if isinstance(token, str) else ""


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request; none for another event, and where Hanko sends the mail itself."""
    claims, mail = verified.claims, get(verified.claims, "data")
    type_, details = text(mail, "type"), get(mail, "data")
    if text(claims, "evt") != EVENT or get(mail, "delivered_by_hanko") is not False or type_ in WITHOUT_MAIL:
        return []
    expires_at = None
    content: dict[str, Any] = {"application": {"name": text(details, "service_name")}}
    if type_ == "security_notification":
        event = EVENTS.get(text(details, "template"))
        if event is None:
            raise RequestError(422, "The template of the security notification is unknown.")
        kind, content = "security-notice", content | {"event": event}
    else:
        code, kind = text(details, "otp_code"), KINDS.get(type_, "generic-code")
        if not code:
            raise RequestError(422, "The otp_code is missing.")
        content["code"], expires_at = code, unix_time(details, "valid_until", default=0.0) or None
    return [
        verified.message(
            kind,
            get(mail, "to_email_address"),
            content,
            key=text(claims, "digest"),
            created_at=unix_time(claims, "iat", default=0.0) or None,
            expires_at=expires_at,
            locales=[text(mail, "language"), *accepted_languages(text(mail, "accept_language"))],
        )
    ]


def _keys_url(settings: Mapping[str, str]) -> str:
    return settings["api_url"].strip().rstrip("/") + "/.well-known/jwks.json"


SOURCE = Source(
    name="hanko",
    required={
        "audience": "the audience of the project's tokens: its relying party id, such as app.example.com",
        "keys": "the project's public keys; `mailroom sources refresh-keys` sets them",
    },
    optional={"api_url": "the URL of Hanko's API, which publishes the keys"},
    verify=verify,
    parse=parse,
    keys_url=_keys_url,
)
