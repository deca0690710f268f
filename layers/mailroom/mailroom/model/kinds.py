"""The built-in kinds of mail, and the lane of each."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from mailroom.model.security_events import security_event

__all__ = ["KINDS", "NAME", "NOTICE_LIFETIME_SECONDS", "RENDERED", "Lane", "has_caller_text", "lane_of", "purpose_of"]

RENDERED = "rendered"  # of a rendered message whose caller gives no kind
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # of a kind or a tenant
NOTICE_LIFETIME_SECONDS = 24 * 3600.0  # by default; after that, a notice is not sent any more


class Lane(StrEnum):
    """The queue of a message; a burst in one never delays the other."""

    CODES = "codes"  # a person waits for it in front of a screen
    NOTICES = "notices"


KINDS: Mapping[str, Lane] = {
    "sign-in-code": Lane.CODES,
    "sign-up-code": Lane.CODES,
    "password-reset": Lane.CODES,
    "email-confirmation": Lane.CODES,
    "mfa-code": Lane.CODES,
    "bind-mfa-code": Lane.CODES,
    "permission-code": Lane.CODES,
    "bind-identifier-code": Lane.CODES,
    "generic-code": Lane.CODES,
    "organization-invitation": Lane.NOTICES,
    "security-notice": Lane.NOTICES,
    "notification": Lane.NOTICES,
}


CALLER_TEXT_KINDS = ("security-notice", "notification")  # the caller supplies title and paragraphs
CALLER_TEXT_FIELDS = ("title", "paragraphs", "facts", "button", "link", "code")


def has_caller_text(kind: str, data: Mapping[str, Any]) -> bool:
    """Return whether a mail shows text of its caller; a tenant's own kinds do.

    A security notice about an event has the words of our templates, unless its data contains others. Its button leads
    to the brand's `account_url`; a link of the caller's own counts as text, because a warning makes readers follow it.
    """
    if security_event(kind, data):
        return any(data.get(field) for field in CALLER_TEXT_FIELDS)
    return kind in CALLER_TEXT_KINDS or kind not in KINDS


def lane_of(kind: str, data: Mapping[str, Any], *, is_rendered: bool = False) -> Lane:
    """Return the lane of a kind; a tenant's own kind is a code when its data has one.

    A rendered mail of no kind of ours counts as a code, since it may contain one.
    """
    return KINDS.get(kind) or (Lane.CODES if is_rendered or data.get("code") else Lane.NOTICES)


def purpose_of(kind: str) -> str:
    """Return the name of the tenant's sender: platform and app mails have different ones."""
    return "notification" if kind == "notification" else "auth"
