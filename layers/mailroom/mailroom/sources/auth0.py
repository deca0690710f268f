"""Auth0's custom email provider: our Action posts what Auth0 has rendered, signed as Standard Webhooks.

https://auth0.com/docs/customize/email/configure-a-custom-email-provider. The Action is clients/auth0.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources import rendered
from mailroom.sources.source import Credentials, Source, VerifiedRequest

__all__ = ["SOURCE"]

# https://auth0.com/docs/customize/actions/reference/custom-email-provider (2026-11)
KINDS: Mapping[str, str] = {
    "verify_email": "email-confirmation",
    "verify_email_by_code": "email-confirmation",
    "reset_email": "password-reset",
    "reset_email_by_code": "password-reset",
    "verification_code": "generic-code",
    "mfa_oob_code": "mfa-code",
    "enrollment_email": "bind-mfa-code",
    "organization_invitation": "organization-invitation",
    "welcome_email": "notification",
    "blocked_account": "security-notice",
    "stolen_credentials": "security-notice",
}
DECLARATION = rendered.declare("auth0")


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request that the Action has not signed. The id of its signature is new in each try of a mail."""
    return {**DECLARATION.verify(request, credentials), "id": ""}


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of a request; a type of mail that is not listed here has no kind."""
    messages = rendered.parse(verified, KINDS)
    return [replace(message, replaces_after=None) for message in messages]  # whether older links end is a setting


SOURCE: Source = replace(DECLARATION, verify=verify, parse=parse)
