"""The kinds of mail we know by name, and the lane each travels in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

__all__ = ["KINDS", "Lane", "lane_of"]


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


def lane_of(kind: str, data: Mapping[str, Any]) -> Lane:
    """Return the lane of a kind; a tenant's own kind waits with the codes when it carries one."""
    return KINDS.get(kind) or (Lane.CODES if data.get("code") else Lane.NOTICES)
