"""The security events that a notice can be about, each with words of its own in every language."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

__all__ = ["SecurityEvent", "security_event"]


class SecurityEvent(StrEnum):
    """A change of an account: the `event` in the data of a security-notice."""

    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - the name of an event
    EMAIL_CHANGED = "email-changed"
    PHONE_CHANGED = "phone-changed"
    NEW_SIGN_IN = "new-sign-in"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    FACTOR_ADDED = "factor-added"
    FACTOR_REMOVED = "factor-removed"
    SIGN_IN_METHOD_LINKED = "sign-in-method-linked"
    SIGN_IN_METHOD_UNLINKED = "sign-in-method-unlinked"
    ACCOUNT_DELETED = "account-deleted"


EVENTS = {str(event): event for event in SecurityEvent}


def security_event(kind: str, data: Mapping[str, Any]) -> SecurityEvent | None:
    """Return the event of a security notice; None for other kinds, and where it is not one of the set."""
    event = data.get("event")
    return EVENTS.get(event) if kind == "security-notice" and isinstance(event, str) else None
