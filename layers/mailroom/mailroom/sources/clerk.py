"""Clerk's webhook `email.created`: https://clerk.com/docs/guides/customizing-clerk/email-sms-templates

Signed by Svix, whose retries over 28 hours keep their id; the event's `timestamp` is when the mail was requested. Clerk
also posts mails that it delivers itself, other events to the same endpoint, and mails without a slug. Each mail holds
its text as Clerk would have sent it: that goes out where we have no kind for it (@clerk/backend 3.25.0, 2026-11).
"""

from collections.abc import Mapping
from typing import Any

from mailroom import untrusted
from mailroom.errors import RequestError
from mailroom.model.content import Content
from mailroom.model.kinds import RENDERED
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent
from mailroom.sources.caller_content import content_of
from mailroom.sources.signed_webhooks import verify
from mailroom.sources.source import Source, VerifiedRequest
from mailroom.webhooks.json_access import duration, get, text, unix_time

__all__ = ["SOURCE"]

MAX_REQUEST_BYTES = 1024 * 1024
EVENT = "email.created"
CODES: Mapping[str, str] = {"verification_code": "generic-code", "reset_password_code": "password-reset"}
LINKS: Mapping[str, str] = {
    "magic_link_sign_in": "sign-in-code",
    "magic_link_sign_up": "sign-up-code",
    "magic_link_user_profile": "email-confirmation",
    "invitation": "organization-invitation",
    "organization_invitation": "organization-invitation",
    "waitlist_invitation": "organization-invitation",
}
EVENTS: Mapping[str, SecurityEvent] = {
    "new_device_sign_in": SecurityEvent.NEW_SIGN_IN,
    "passkey_added": SecurityEvent.PASSKEY_ADDED,
    "passkey_removed": SecurityEvent.PASSKEY_REMOVED,
    "password_changed": SecurityEvent.PASSWORD_CHANGED,
    "primary_email_address_changed": SecurityEvent.EMAIL_CHANGED,
}
LOCALES = ("public_metadata", "unsafe_metadata")  # where apps keep a user's `locale`; the event itself has none


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the message of an event; none for other events, and for mails that Clerk delivers or suppresses."""
    body = verified.request.json(MAX_REQUEST_BYTES)
    mail = get(body, "data")
    if get(body, "type") != EVENT or get(mail, "delivered_by_clerk") is True or get(mail, "suppression_reason"):
        return []
    created_at = unix_time(body, "timestamp", default=0.0) or None
    kind, data, content = _content(mail)
    lifetime = _lifetime(get(mail, "data"))
    return [
        verified.message(
            kind,
            get(mail, "to_email_address"),
            data,
            key=verified.claims["id"],
            created_at=created_at,
            expires_at=(created_at or verified.request.received_at) + lifetime if lifetime else None,
            locales=[text(mail, "data", "user", place, "locale") for place in LOCALES],
            brand=_brand(mail),
            client_ip=text(body, "event_attributes", "http_request", "client_ip"),
            content=content,
        )
    ]


def _content(mail: Any) -> tuple[str, dict[str, Any], Content | None]:
    """Return kind and data of a mail that we know, or its own content."""
    slug, details = text(mail, "slug"), get(mail, "data")
    links = (untrusted.link(get(details, name)) for name in ("magic_link", "action_url"))
    code, link = untrusted.code(get(details, "otp_code")), next(filter(None, links), "")
    app = text(details, "app", "name")
    if (kind := CODES.get(slug)) and code:
        return kind, {"code": code, "application": app, "request": _request(details)}, None
    if (kind := LINKS.get(slug)) and link:
        organization = text(details, "org", "name") or app
        parties = {"application": app, "organization": organization, "inviter": text(details, "inviter", "name")}
        return kind, {"link": link, **parties, "request": _request(details)}, None
    if event := EVENTS.get(slug):
        return "security-notice", {"event": event, "application": app, "request": _request(details)}, None
    try:
        return RENDERED, {}, content_of(*(get(mail, name) for name in ("subject", "body", "body_plain")))
    except RequestError as error:
        raise RequestError(error.status, f"Clerk's own mail cannot be sent as it is. {error.sentence}") from error


def _lifetime(details: Any) -> float:
    """Return the seconds for which a link is good, where Clerk states it, else 0."""
    minutes = duration(details, "ttl_minutes", unit_seconds=60.0)
    return minutes or duration(details, "invitation", "expires_in_days", unit_seconds=86_400.0)


def _request(details: Any) -> dict[str, str]:
    return {
        "ip": text(details, "ip_address") or text(details, "requested_from"),
        "device": text(details, "device") or text(details, "requested_by"),
        "place": text(details, "location"),
    }


def _brand(mail: Any) -> dict[str, str]:
    hints = {"name": text(mail, "data", "app", "name"), "logo_url": text(mail, "data", "app", "logo_image_url")}
    return {key: value for key, value in hints.items() if value}


SOURCE = Source(
    name="clerk",
    required={"secret": "the signing secret of Clerk's webhook endpoint, whsec_…"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
