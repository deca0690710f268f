"""Seals: a queued text that is not ours proves that it comes from a function that may write mails.

The webhook function can put messages on the queues, and strangers reach it. It cannot read the key: if it is taken
over, it can still have our own templates sent, but no words of an intruder's choice.
"""

import hashlib
import hmac
import json
from dataclasses import replace

from mailroom.model.json_fields import fields_of
from mailroom.model.kinds import has_caller_text
from mailroom.model.message import Parcel

__all__ = ["is_authentic", "seal"]

SORTED = json.JSONEncoder(check_circular=False, sort_keys=True, default=fields_of)


def seal(parcel: Parcel, key: str) -> Parcel:
    """Return the parcel with a seal, where it carries text that deliver does not take from our templates."""
    return replace(parcel, seal=_code(parcel, key)) if _needs_seal(parcel) else parcel


def is_authentic(parcel: Parcel, key: str) -> bool:
    """Return whether a parcel needs no seal, or has a valid one."""
    return not _needs_seal(parcel) or hmac.compare_digest(parcel.seal.encode(), _code(parcel, key).encode())


def _needs_seal(parcel: Parcel) -> bool:
    message = parcel.message
    return bool(parcel.email or parcel.settled or message.content) or has_caller_text(message.kind, message.data)


def _code(parcel: Parcel, key: str) -> str:
    # Times are left out: an operator may give a dead letter more time.
    message = fields_of(parcel.message) | {"created_at": 0, "expires_at": 0}
    message.pop("has_default_lifetime", None)
    parts: list[object] = [message]
    parts += [parcel.email] if parcel.email else []
    parts += [parcel.settled.to_dict()] if parcel.settled else []
    parts += [parcel.handover] if parcel.handover else []
    text = SORTED.encode(parts)
    return hmac.digest(key.encode(), b"parcel " + text.encode(), hashlib.sha256).hex()
