"""A django-allauth adapter that sends its mails through Mailroom. Copy it beside mailroom.py and mailroom_django.py.

    ACCOUNT_ADAPTER = "myproject.mailroom_allauth.MailroomAccountAdapter"

Codes, links and security notices are sent by kind, in the language of the request and in the brand of the tenant. All
others, such as the one to an unknown address, are rendered by allauth and go to Django's EMAIL_BACKEND.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.utils.translation import get_language

from .mailroom_django import mailroom

__all__ = ["MailroomAccountAdapter"]

DAY_SECONDS = 86_400
MAX_LIFETIME_SECONDS = 7 * DAY_SECONDS  # Mailroom's
KINDS = {
    "account/email/email_confirmation_signup": "email-confirmation",
    "account/email/email_confirmation": "email-confirmation",
    "account/email/password_reset_key": "password-reset",
    "account/email/password_reset_code": "password-reset",
    "account/email/login_code": "sign-in-code",
}
EVENTS = {
    "account/email/email_changed": "email-changed",
    "account/email/password_changed": "password-changed",
    "account/email/password_reset": "password-changed",
    "account/email/password_set": "password-changed",
    "mfa/email/totp_activated": "factor-added",
    "mfa/email/totp_deactivated": "factor-removed",
    "mfa/email/webauthn_added": "passkey-added",
    "mfa/email/webauthn_removed": "passkey-removed",
    "socialaccount/email/account_connected": "sign-in-method-linked",
    "socialaccount/email/account_disconnected": "sign-in-method-unlinked",
}


class MailroomAccountAdapter(DefaultAccountAdapter):
    """Sends what allauth mails."""

    def send_mail(self, template_prefix: str, email: str, context: Mapping[str, Any]) -> None:
        """Send one mail; allauth calls it within the request."""
        locale = get_language()
        if kind := KINDS.get(template_prefix):
            lifetime = min(_lifetime(template_prefix, context), MAX_LIFETIME_SECONDS)
            mailroom().send(kind, email, _content(context), locale=locale, expires_in=lifetime)
        elif event := EVENTS.get(template_prefix):
            data = {"event": event, "request": _request(context)}
            mailroom().send("security-notice", email, data, locale=locale)
        else:
            super().send_mail(template_prefix, email, dict(context))


def _content(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the code, or the link where allauth is in the mode of links."""
    if code := context.get("code"):
        return {"code": code}
    return {"link": context.get("activate_url") or context["password_reset_url"]}


def _lifetime(template_prefix: str, context: Mapping[str, Any]) -> float:
    """Return the lifetime of a code or link in seconds: it is in no context, only in the settings."""
    if template_prefix == "account/email/login_code":
        return float(app_settings.LOGIN_BY_CODE_TIMEOUT)
    if template_prefix == "account/email/password_reset_code":
        return float(app_settings.PASSWORD_RESET_BY_CODE_TIMEOUT)
    if template_prefix == "account/email/password_reset_key":
        return float(settings.PASSWORD_RESET_TIMEOUT)
    if "code" in context:
        return float(app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT)
    return float(app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS) * DAY_SECONDS


def _request(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a change came from; Mailroom shows it if the brand has `request_context`."""
    known = {"ip": context.get("ip"), "time": context["timestamp"].isoformat() if "timestamp" in context else None}
    return {name: value for name, value in known.items() if value}
