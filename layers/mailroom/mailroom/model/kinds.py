"""The kinds of mail we know by name, and the lane each travels in."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

__all__ = ["CALLER_TEXT", "KINDS", "NAME", "NOTICE_LIFETIME", "Lane", "has_caller_text", "lane_of"]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # what a kind may be called, and a tenant
NOTICE_LIFETIME = 24 * 3600.0  # seconds for which a notice is worth sending, where nobody says


class Lane(StrEnum):
    """Which queue a message waits in: a burst in one never delays the other."""

    CODES = "codes"  # someone sits in front of a screen and waits
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


CALLER_TEXT = ("security-notice", "notification")  # the caller supplies title and paragraphs


def has_caller_text(kind: str) -> bool:
    """Return whether a mail of this kind shows text of its caller; a tenant's own kinds do."""
    return kind in CALLER_TEXT or kind not in KINDS


def lane_of(kind: str, data: Mapping[str, Any]) -> Lane:
    """Return the lane of a kind; a tenant's own kind waits with the codes when it carries one."""
    return KINDS.get(kind) or (Lane.CODES if data.get("code") else Lane.NOTICES)
