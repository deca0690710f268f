"""Logto's HTTP email connector: one static header, one JSON body, no id, no timestamp, no signature.

https://docs.logto.io/integrations/http-email. Logto never retries a POST, follows every redirect, and shows the body
of an error to the user (connector-http-email 0.4.3, observed 2026-08).
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailroom import untrusted
from mailroom.errors import RequestError
from mailroom.model.kinds import NAME, NOTICE_LIFETIME_SECONDS, Lane, lane_of
from mailroom.model.mailbox import is_address
from mailroom.model.message import Message, content_identity, new_id
from mailroom.model.parameter_names import DEFAULT_TENANT, webhook_secret
from mailroom.request import Request
from mailroom.settings import Settings
from mailroom.untrusted import LOCALE_TAG

__all__ = ["TYPES", "authenticate", "parse"]

SOURCE = "logto"
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
CONSOLE_TEST_CODE = "000000"
UNGUESSABLE = secrets.token_bytes(32)  # compared with the header of an unknown tenant


class Body(BaseModel):
    """The body of Logto's request. Older versions send fewer fields; later ones will send more."""

    model_config = ConfigDict(extra="ignore", strict=True)

    to: str
    type: str = Field(min_length=1, max_length=64)
    payload: dict[str, Any] | None = None
    ip: str | None = Field(default=None, max_length=64)


def authenticate(request: Request, settings: Settings) -> str:
    """Return the tenant whose secret (one of the lines of its parameter) the Authorization header contains.

    An unknown tenant is answered like a wrong secret, after the same work, so that nobody can list tenants.
    """
    tenant = request.path.get("tenant", DEFAULT_TENANT)
    name = webhook_secret(tenant)
    lines = settings.lookup("webhooks/logto", name).splitlines() if NAME.fullmatch(tenant) else []
    accepted = [line.strip().encode() for line in lines if line.strip()]
    if not accepted and tenant == DEFAULT_TENANT:
        raise settings.missing(name)
    presented = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
    # Compare with every value, always: the time taken must not show which one was close.
    if not sum([hmac.compare_digest(presented, secret) for secret in accepted or [UNGUESSABLE]]):
        raise RequestError(401, "The authorization header is missing or wrong.")
    return tenant


def parse(request: Request, tenant: str, code_lifetime: float) -> Message:
    """Return the Message for a request of Logto's; raise RequestError if it is malformed."""
    try:
        body = Body.model_validate(request.json())
    except ValidationError as error:
        field = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"])) or "body"
        name = field if field in Body.model_fields else "body"
        raise RequestError(422, f"The field {name} is missing or not of the right type.") from error
    data = {**(body.payload or {}), **_code_and_link(body.payload or {})}
    if not is_address(body.to):
        raise RequestError(422, "The recipient is not a single valid email address.")
    kind = TYPES.get(body.type, "generic-code")
    is_test = kind == "generic-code" and data.get("code") == CONSOLE_TEST_CODE
    lifetime = code_lifetime if lane_of(kind, data) is Lane.CODES else NOTICE_LIFETIME_SECONDS
    return Message(
        id=new_id(),
        tenant=tenant,
        kind=kind,
        to=body.to,
        data=data,
        created_at=request.received_at,
        expires_at=request.received_at + lifetime,
        source=SOURCE,
        locales=_locales(data),
        brand=_brand(kind, data),
        identity="" if is_test else content_identity(tenant, body.to, kind, data),
        client_ip=body.ip or "",
    )


def _code_and_link(payload: Mapping[str, Any]) -> dict[str, str | None]:
    """Return code and link, validated, because the recipient acts on them."""
    code, link = payload.get("code"), payload.get("link")
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    if code is not None and not (isinstance(code, str) and len(code) <= 64 and code.isprintable()):
        raise RequestError(422, "The code is not a short text.")
    if link not in (None, "") and not untrusted.link(link):
        raise RequestError(422, "The link is not a valid http or https address.")
    return {"code": code or None, "link": link or None}


def _locales(data: Mapping[str, Any]) -> tuple[str, ...]:
    locale, ui_locales = data.get("locale"), data.get("uiLocales")
    raw = [locale] if isinstance(locale, str) else []
    raw += ui_locales.split() if isinstance(ui_locales, str) else []
    return tuple(dict.fromkeys(tag for tag in raw[:20] if LOCALE_TAG.fullmatch(tag)))


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
