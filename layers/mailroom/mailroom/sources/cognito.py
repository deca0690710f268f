"""Amazon Cognito's trigger CustomEmailSender, by which a user pool invokes a function with an encrypted code.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-custom-email-sender.html. Cognito invokes it
asynchronously and never learns the outcome; Lambda repeats a failed event after one minute, and after two more, under
the same request id. A temporary password is escaped for HTML before it is encrypted (seen 2026-11).
"""

from collections.abc import Callable, Mapping
from html import unescape
from typing import Any

from mailroom.aws.encryption import Decrypted
from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent
from mailroom.request import Request
from mailroom.sources.source import VerifiedRequest
from mailroom.webhooks.json_access import get, text

__all__ = ["message_of"]

TRIGGER = "CustomEmailSender_"
TEMPORARY_PASSWORD = "AdminCreateUser"  # noqa: S105 - the name of a trigger
WITHOUT_CODE = "AccountTakeOverNotification"
KINDS: Mapping[str, str] = {
    "SignUp": "sign-up-code",
    "ResendCode": "sign-up-code",
    "ForgotPassword": "password-reset",
    "UpdateUserAttribute": "email-confirmation",
    "VerifyUserAttribute": "email-confirmation",
    "Authentication": "sign-in-code",
    TEMPORARY_PASSWORD: "organization-invitation",
}
PASSWORD_LIFETIME_SECONDS = 7 * 24 * 3600.0  # Cognito's default
POOL = "userpool-id"  # in the context of a code's encryption


def message_of(
    event: Any,
    request_id: str,
    decrypt: Callable[[str], Decrypted],
    *,
    tenant: str,
    now: float,
    code_lifetime: float,
) -> Message:
    """Return the message of an event; raise a RequestError if it is malformed, or its code is another pool's."""
    trigger, attributes = text(event, "triggerSource"), get(event, "request", "userAttributes")
    name = trigger.removeprefix(TRIGGER)
    if not trigger.startswith(TRIGGER) or name not in (*KINDS, WITHOUT_CODE):
        raise RequestError(422, "The triggerSource is not one of CustomEmailSender.")
    user = {key: value for key in ("sub", "name", "given_name", "family_name") if (value := text(attributes, key))}
    data: dict[str, Any] = {"user": {**user, "userName": text(event, "userName")}}
    if name == WITHOUT_CODE:
        data["event"] = SecurityEvent.NEW_SIGN_IN
    else:
        code = _code(event, decrypt)
        data["code"] = unescape(code) if name == TEMPORARY_PASSWORD else code
    # Everything but the time of a request is in the event.
    request = VerifiedRequest(Request("POST", {}, {}, b"", "", now), "cognito", tenant, {}, code_lifetime)
    return request.message(
        KINDS.get(name, "security-notice"),
        get(attributes, "email"),
        data,
        key=request_id,
        expires_at=now + PASSWORD_LIFETIME_SECONDS if name == TEMPORARY_PASSWORD else None,
        locales=[text(event, "request", "clientMetadata", "locale"), text(attributes, "locale")],
    )


def _code(event: Any, decrypt: Callable[[str], Decrypted]) -> str:
    ciphertext = get(event, "request", "code")
    if not isinstance(ciphertext, str) or not ciphertext:
        raise RequestError(422, "The event has no code.")
    decrypted = decrypt(ciphertext)
    if decrypted.context.get(POOL, pool := get(event, "userPoolId")) != pool:
        raise RequestError(422, "The code was encrypted for another user pool.")
    return decrypted.text
