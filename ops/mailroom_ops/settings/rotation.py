"""Change a secret without a gap: the new value beside the old one, then the old one away."""

import base64
import secrets

from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog

__all__ = ["begin", "cancel", "finish", "generate", "replace"]


def begin(name: str, current: str | None, new: str) -> str:
    """Return what a parameter has to hold for both the new value and the old one to be accepted."""
    lines = catalog.values_of(current or "")
    if len(lines) > 1:
        raise InvalidInput(
            f"A rotation of {name} is under way: it holds two values.",
            f"End it with `mailroom secrets rotate {name} --finish`, or take it back with --cancel.",
        )
    replace(name, current, new)
    return catalog.with_values(current or "", [new, lines[0]])


def replace(name: str, current: str | None, new: str) -> str:
    """Return what a parameter has to hold that knows one value at a time."""
    if not current:
        raise InvalidInput(f"{name} is not set, so there is nothing to rotate.", f"Set it: mailroom secrets set {name}")
    if new in catalog.values_of(current):
        raise InvalidInput("The new value is the old one.", "Give another.")
    return new


def finish(name: str, current: str | None) -> str:
    """Return the new value alone."""
    return catalog.with_values(current or "", _two(name, current)[:1])


def cancel(name: str, current: str | None) -> str:
    """Return the old value alone."""
    return catalog.with_values(current or "", _two(name, current)[1:])


def _two(name: str, current: str | None) -> list[str]:
    lines = catalog.values_of(current or "")
    if len(lines) != 2:
        raise InvalidInput(f"No rotation of {name} is under way.", f"Begin one with `mailroom secrets rotate {name}`.")
    return lines


def generate(name: str) -> str:
    """Make a value for a secret that is ours to choose: 256 bits of chance, in the form its other side expects."""
    if name.startswith("webhooks/"):
        return f"Bearer {secrets.token_urlsafe(32)}"
    if name.startswith("api/keys/"):
        return f"mailroom_{secrets.token_urlsafe(32)}"
    if name.startswith("providers/http") and name.endswith("/secret"):
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"  # as Standard Webhooks writes it
    if name.startswith(("feedback/postmark/", "feedback/aliyun/")):
        return secrets.token_urlsafe(32)
    raise InvalidInput(
        f"{name} is given by the other side and cannot be made up.", "Copy it from there: --ask, or --file."
    )
