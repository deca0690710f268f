"""Rotate a secret without downtime: accept the new value beside the old one, then stop accepting the old one."""

import base64
import secrets

from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog

__all__ = ["begin", "cancel", "finish", "generate", "replace"]


def begin(name: str, current: str | None, new: str) -> str:
    """Return the parameter by which both the new value and the old one are accepted."""
    lines = catalog.values_of(current or "")
    if len(lines) > 1:
        raise InvalidInput(
            f"{name} is being rotated already: it has two values.",
            f"Finish it with `mailroom secrets rotate {name} --finish`, or undo it with --cancel.",
        )
    replace(name, current, new)
    return catalog.with_values(current or "", [new, lines[0]])


def replace(name: str, current: str | None, new: str) -> str:
    """Return the parameter with the new value, for a secret that has one value at a time."""
    if not current:
        raise InvalidInput(f"{name} is not set, so there is nothing to rotate.", f"Set it: mailroom secrets set {name}")
    if new in catalog.values_of(current):
        raise InvalidInput("The new value is the same as the old one.", "Give another.")
    return new


def finish(name: str, current: str | None) -> str:
    """Return the new value alone."""
    return catalog.with_values(current or "", _two_values(name, current)[:1])


def cancel(name: str, current: str | None) -> str:
    """Return the old value alone."""
    return catalog.with_values(current or "", _two_values(name, current)[1:])


def _two_values(name: str, current: str | None) -> list[str]:
    lines = catalog.values_of(current or "")
    if len(lines) != 2:
        raise InvalidInput(f"{name} is not being rotated.", f"Begin with `mailroom secrets rotate {name}`.")
    return lines


def generate(name: str) -> str:
    """Return a random value of 256 bits for a secret that we choose, in the form that the other side expects."""
    if name.startswith(("webhooks/logto/", "webhooks/rendered/", "webhooks/casdoor/")):
        return f"Bearer {secrets.token_urlsafe(32)}"
    if name.startswith("webhooks/kratos/"):
        return secrets.token_urlsafe(32)
    if name.startswith("api/keys/"):
        return f"mailroom_{secrets.token_urlsafe(32)}"
    is_http_provider = name.startswith("providers/http") and name.endswith("/secret")
    if is_http_provider or name.startswith(("webhooks/auth0/", "webhooks/standard/")):
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"  # as Standard Webhooks writes it
    if name.startswith(("feedback/postmark/", "feedback/aliyun/")):
        return secrets.token_urlsafe(32)
    issuer = "auth server" if name.startswith("webhooks/") else "provider"
    raise InvalidInput(f"{name} cannot be generated: the {issuer} issues it.", "Copy it from there: --ask, or --file.")
