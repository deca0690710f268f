"""Ory Kratos' HTTP courier: https://www.ory.com/docs/kratos/self-hosted/mail-courier-http

The body is the result of our own Jsonnet file, clients/kratos/mailroom.jsonnet. There is no id, no time and no
signature, only a static header. Kratos takes any 2xx, else it repeats the mail five times, about a second apart
(kratos@b86338da0, read 2026-11).
"""

from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent
from mailroom.request import Request
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.authentication import Unauthenticated, decode_base64, equals_any
from mailroom.webhooks.json_access import accepted_languages, get, text

__all__ = ["SOURCE"]

KINDS: Mapping[str, str] = {
    "recovery_valid": "password-reset",
    "recovery_code_valid": "password-reset",
    "verification_valid": "email-confirmation",
    "verification_code_valid": "email-confirmation",
    "login_code_valid": "sign-in-code",
    "registration_code_valid": "sign-up-code",
}
EVENTS: Mapping[str, SecurityEvent] = {
    "verifiable_address_changed": SecurityEvent.EMAIL_CHANGED,  # to the old address
    "authenticator_key_added": SecurityEvent.SIGN_IN_METHOD_LINKED,
}
# To an address without an account, and only if `notify_unknown_recipients` is on. Our mails are about an account.
WITHOUT_MAIL = ("recovery_invalid", "recovery_code_invalid", "verification_invalid", "verification_code_invalid")


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request without the secret: as a bearer token, as a Basic password, or as the whole header."""
    header = request.headers.get("authorization", "")
    scheme, _, rest = header.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else ""
    password = decode_base64(rest.strip()).partition(b":")[2] if scheme.lower() == "basic" else b""
    presented = [header.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"), password]
    accepted = [secret.encode() for secret in credentials.lines("secret")]
    if not sum([equals_any(value, accepted) for value in presented]):
        raise Unauthenticated("the secret does not match")
    return {}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request; none for a mail to an address without an account."""
    body = verified.json_object()
    type_ = text(body, "template_type")
    if type_ in WITHOUT_MAIL:
        return []
    content: dict[str, Any] = {
        "application": {"name": text(body, "application")},
        "user": {"id": text(body, "identity_id"), "traits": get(body, "traits")},
        "transient_payload": get(body, "transient_payload"),
    }
    minutes = get(body, "expires_in_minutes")
    if event := EVENTS.get(type_):
        kind, content = "security-notice", content | {"event": event}
    else:
        kind = KINDS.get(type_, "generic-code")
        content |= {"code": get(body, "code"), "link": get(body, "link")}
        if not (content["code"] or content["link"]):
            raise RequestError(422, "There is neither a code nor a link: is the body that of mailroom.jsonnet?")
    is_lifetime = isinstance(minutes, int | float) and not isinstance(minutes, bool)
    return [
        verified.message(
            kind,
            get(body, "to"),
            content,
            expires_at=verified.request.received_at + minutes * 60 if is_lifetime else None,
            locales=_locales(body),
            client_ip=text(body, "client_ip"),
        )
    ]


def _locales(body: Mapping[str, Any]) -> list[str]:
    """Return the languages that the app, the user's profile and the browser ask for."""
    chosen = [text(body, owner, name) for owner in ("transient_payload", "traits") for name in ("locale", "lang")]
    return [*chosen, *accepted_languages(text(body, "accept_language"))]


SOURCE = Source(
    name="kratos",
    required={"secret": "the secret that Kratos presents as a bearer token or a Basic password"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
