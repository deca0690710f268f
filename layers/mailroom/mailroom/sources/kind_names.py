"""The names of kinds in requests: built-in kinds, aliases, and the kinds of a tenant's own templates."""

from collections.abc import Collection, Iterable, Mapping

from mailroom.model.kinds import KINDS

__all__ = ["ALIASES", "find_kind", "unknown_kind", "unknown_name"]

ALIASES: Mapping[str, str] = {"magic-link": "sign-in-code"}
# What other systems call a kind. These are suggested, not accepted.
SUGGESTIONS: Mapping[str, str] = {
    "confirm-email": "email-confirmation",
    "email-verification": "email-confirmation",
    "forgot-password": "password-reset",
    "invitation": "organization-invitation",
    "invite": "organization-invitation",
    "login": "sign-in-code",
    "login-code": "sign-in-code",
    "otp": "sign-in-code",
    "register": "sign-up-code",
    "reset-password": "password-reset",
    "signup": "sign-up-code",
    "two-factor": "mfa-code",
    "verification": "email-confirmation",
    "verification-code": "generic-code",
    "verify-email": "email-confirmation",
    "welcome": "notification",
}


def find_kind(name: str, own_kinds: Collection[str]) -> str | None:
    """Return the kind of a name, or None if neither we nor the tenant have it. A tenant's own kind beats an alias."""
    return name if name in KINDS or name in own_kinds else ALIASES.get(name)


def unknown_kind(name: str, own_kinds: Collection[str]) -> str:
    """Return the sentence about a name that is no kind, with the most similar kind."""
    if name in SUGGESTIONS:
        return f"There is no kind {name}. Did you mean {SUGGESTIONS[name]}?"
    remedy = f", or add the tenant's own template emails/{name}.html"
    return unknown_name("kind", name, {*KINDS, *ALIASES, *own_kinds}, remedy)


def unknown_name(noun: str, name: str, existing: Iterable[str], remedy: str = "") -> str:
    """Return the sentence about a name that does not exist, with the most similar one, or all of them."""
    from difflib import get_close_matches  # only for a refusal, so that a cold start does not load it

    names = sorted(map(str, existing))
    if similar := get_close_matches(name, names, n=1):
        return f"There is no {noun} {name}. Did you mean {similar[0]}?"
    return f"There is no {noun} {name}: use {', '.join(names)}{remedy}."
