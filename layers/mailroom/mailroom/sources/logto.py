"""Logto's HTTP email connector: one static header, one JSON body, no id, no timestamp, no signature.

https://docs.logto.io/integrations/http-email. Logto never retries a POST, follows every redirect, and shows the body
of an error to the user (connector-http-email 0.4.3, observed 2026-08).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.authentication import Unauthenticated, equals_any

__all__ = ["SOURCE", "TYPES", "Body"]

TYPES: Mapping[str, str] = {
    "SignIn": "sign-in-code",
    "Register": "sign-up-code",
    "ForgotPassword": "password-reset",
    "OrganizationInvitation": "organization-invitation",
    "Generic": "generic-code",
    "UserPermissionValidation": "permission-code",
    "BindNewIdentifier": "bind-identifier-code",
    "MfaVerification": "mfa-code",
    "BindMfa": "bind-mfa-code",
}
BUILT_IN_APPLICATIONS = ("account-center", "admin-console", "demo-app", "device-demo-app")  # 1.42, read 2026-11
CONSOLE_TEST_CODE = "000000"
MAX_FIELD_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Body:
    """The body of Logto's request. Older versions send fewer fields; later ones will send more.

    Four fields, read without pydantic, whose import was half of the webhook's cold start (docs/performance.md).
    """

    to: str
    type: str
    payload: Mapping[str, Any]
    ip: str

    @classmethod
    def read(cls, value: Any) -> "Body":
        """Return the fields of a JSON value; raise RequestError with the first that is missing or of another type."""
        if not isinstance(value, dict):
            raise _invalid("body")
        to, type_, payload, ip = (value.get(name) for name in ("to", "type", "payload", "ip"))
        if not isinstance(to, str):
            raise _invalid("to")
        if not (isinstance(type_, str) and 0 < len(type_) <= MAX_FIELD_LENGTH):
            raise _invalid("type")
        if payload is not None and not isinstance(payload, dict):
            raise _invalid("payload")
        if ip is not None and not (isinstance(ip, str) and len(ip) <= MAX_FIELD_LENGTH):
            raise _invalid("ip")
        return cls(to, type_, payload or {}, ip or "")


def _invalid(field: str) -> RequestError:
    return RequestError(422, f"The field {field} is missing or not of the right type.")


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request whose Authorization header is not one of the secrets."""
    presented = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
    if not equals_any(presented, [secret.encode() for secret in credentials.lines("authorization")]):
        raise Unauthenticated("the secret does not match", "The authorization header is missing or wrong.")
    return {}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request; raise RequestError if it is malformed."""
    body = Body.read(verified.request.json())
    data, kind = _without_built_in_application(body.payload), TYPES.get(body.type, "generic-code")
    message = verified.message(kind, body.to, data, locales=_locales(data), brand=_brand(kind, data), client_ip=body.ip)
    is_test = kind == "generic-code" and message.data.get("code") == CONSOLE_TEST_CODE
    return [replace(message, identity="") if is_test else message]


def _without_built_in_application(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data without an application of Logto's own, such as "Live Preview": it is no brand of the tenant's."""
    application = data.get("application")
    if isinstance(application, dict) and application.get("id") in BUILT_IN_APPLICATIONS:
        return {key: value for key, value in data.items() if key != "application"}
    return data


def _locales(data: Mapping[str, Any]) -> list[Any]:
    ui_locales = data.get("uiLocales")
    return [data.get("locale"), *(ui_locales.split() if isinstance(ui_locales, str) else ())]


def _brand(kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return brand hints: for an invitation those of the organization, for any other mail those of the application.

    An organization gives its logos only: many products let every user create one and choose its name.
    """
    order = ("organization", "application") if kind == "organization-invitation" else ("application", "organization")
    for owner in order:
        values = data.get(owner)
        if isinstance(values, dict):
            branding = values.get("branding")
            logos = branding if isinstance(branding, dict) else {}
            hints = {
                "name": (values.get("displayName") or values.get("name")) if owner == "application" else None,
                "logo_url": logos.get("logoUrl"),
                "dark_logo_url": logos.get("darkLogoUrl"),
            }
            return {key: value for key, value in hints.items() if isinstance(value, str) and value}
    return {}


SOURCE = Source(
    name="logto",
    required={"authorization": "the Authorization header of Logto's requests"},
    secrets=("authorization",),
    verify=verify,
    parse=parse,
)
