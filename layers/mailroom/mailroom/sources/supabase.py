"""Supabase's Send Email hook: https://supabase.com/docs/guides/auth/auth-hooks/send-email-hook

Signed as Standard Webhooks. The id in the body is the same in each retry, the one in the headers is not. Supabase waits
5 s, with its database transaction open. A 200 needs a JSON object; one with an `error` is shown to the user, any other
status is a 500 to the app. It repeats a 503 only with Retry-After (auth@bc32168e, observed 2026-11).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from mailroom import untrusted
from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.model.security_events import SecurityEvent
from mailroom.sources.signed_webhooks import verify
from mailroom.sources.source import Source, VerifiedRequest
from mailroom.webhooks.json_access import get, iso_time, text

__all__ = ["SOURCE"]

KINDS: Mapping[str, str] = {
    "signup": "sign-up-code",
    "magiclink": "sign-in-code",
    "recovery": "password-reset",
    "invite": "organization-invitation",
    "email_change": "email-confirmation",
    "reauthentication": "permission-code",
}
EVENTS: Mapping[str, SecurityEvent] = {
    "password_changed_notification": SecurityEvent.PASSWORD_CHANGED,
    "email_changed_notification": SecurityEvent.EMAIL_CHANGED,
    "phone_changed_notification": SecurityEvent.PHONE_CHANGED,
    "identity_linked_notification": SecurityEvent.SIGN_IN_METHOD_LINKED,
    "identity_unlinked_notification": SecurityEvent.SIGN_IN_METHOD_UNLINKED,
    "mfa_factor_enrolled_notification": SecurityEvent.FACTOR_ADDED,
    "mfa_factor_unenrolled_notification": SecurityEvent.FACTOR_REMOVED,
}
WITHOUT_LINK = ("reauthentication",)  # it has a token hash, and no page that would take it
LOCALES = ("locale", "lang", "language")  # in user_metadata, where apps put it; the hook itself has none


def parse(verified: VerifiedRequest) -> list[Message]:
    """Return the messages of a request: two for a secure change of address, one for anything else."""
    body = verified.json_object()
    metadata, user = get(body, "user", "user_metadata"), get(body, "user")
    details = {
        **{name: text(user, name) for name in ("id", "email", "new_email")},
        "user_metadata": metadata if isinstance(metadata, dict) else {},
    }
    redirect_to = untrusted.link(text(body, "email_data", "redirect_to"))
    created_at = iso_time(body, "metadata", "time", default=0.0) or None
    return [
        verified.message(
            kind,
            to,
            {**content, "user": details, "redirect_to": redirect_to},
            key=text(body, "metadata", "uuid"),
            created_at=created_at,
            locales=[text(metadata, name) for name in LOCALES],
            client_ip=text(body, "metadata", "ip_address"),
        )
        for kind, to, content in _mails(user, get(body, "email_data"))
    ]


def _mails(user: Any, email: Any) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield kind, recipient and content of each mail."""
    action, address, new_address = text(email, "email_action_type"), text(user, "email"), text(user, "new_email")
    token, token_hash = text(email, "token"), text(email, "token_hash")
    if event := EVENTS.get(action):
        # By then, the user has the new address; the notice belongs to the old one, as in Supabase's own mails.
        yield "security-notice", text(email, "old_email") or address, {"event": event}
    elif not token:
        raise RequestError(422, "The email_action_type is unknown, or its token is missing.")
    elif action != "email_change":
        link = "" if action in WITHOUT_LINK else _link(email, action, token_hash)
        yield KINDS.get(action, "generic-code"), address, {"code": token, "link": link}
    elif token_new := text(email, "token_new"):
        # The names are crossed: token belongs to the current address, and so does token_hash_new.
        link = _link(email, action, text(email, "token_hash_new"))
        yield "permission-code", address, {"code": token, "link": link}
        yield KINDS[action], new_address, {"code": token_new, "link": _link(email, action, token_hash)}
    else:
        yield KINDS[action], new_address, {"code": token, "link": _link(email, action, token_hash)}


def _link(email: Any, action: str, token_hash: str) -> str:
    """Return the address that Supabase's own mails link to; `site_url` is that of its auth API, not of the app."""
    site_url = text(email, "site_url")
    if not (site_url and token_hash):
        return ""
    redirect_to = get(email, "redirect_to")
    query = {"token": token_hash, "type": action, "redirect_to": redirect_to if isinstance(redirect_to, str) else ""}
    link = f"{site_url.rstrip('/')}/verify?{urlencode({name: value for name, value in query.items() if value})}"
    return untrusted.link(link)  # the code goes out in any case


SOURCE = Source(
    name="supabase",
    required={"secret": "the secret of Supabase's Send Email hook, v1,whsec_…"},
    optional={"code_lifetime_minutes": "how long its codes are valid; by default, as long as the stack's"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
