"""The request context of a mail: when, where and with what its recipient, or somebody else, made the request.

A source fills `data["request"]` with what it knows, an object with any of

    ip       the client's IP address, as text
    device   such as "Firefox on Linux"
    place    such as "Berlin, Germany"
    time     seconds since the epoch, or ISO 8601

All of it is cleaned like a name: no links, no control characters, a limited length.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailroom import untrusted
from mailroom.model.message import Message

__all__ = ["request_facts"]

# Kinds that somebody else's request could have caused: recipients compare it with their own.
SHOWING_KINDS = frozenset(
    {
        "sign-in-code",
        "password-reset",
        "mfa-code",
        "bind-mfa-code",
        "permission-code",
        "bind-identifier-code",
        "security-notice",
    }
)
IP = re.compile(r"[0-9A-Fa-f:.]{2,45}", re.ASCII)
MAX_EPOCH_SECONDS = 253_402_300_799.0  # the end of the year 9999


def request_facts(message: Message) -> list[tuple[str, str]]:
    """Return the known facts of a message's request, as pairs of a text's key and a cleaned value."""
    if message.kind not in SHOWING_KINDS:
        return []
    request = message.data.get("request")
    values: Mapping[str, Any] = request if isinstance(request, Mapping) else {}
    ip = values.get("ip") or message.client_ip
    facts = [
        ("request_time", _time(values.get("time")) or _time(message.created_at)),
        ("request_place", untrusted.name(values.get("place"))),
        ("request_device", untrusted.name(values.get("device"))),
        ("request_ip", untrusted.name(ip) if isinstance(ip, str) and IP.fullmatch(ip) else ""),
    ]
    return [(key, value) for key, value in facts if value]


def _time(value: Any) -> str:
    """Return a point in time in UTC and in a form that is the same in every language; '' for anything else."""
    seconds = value
    if isinstance(value, str) and len(value) <= 40:
        try:
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return ""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_EPOCH_SECONDS:
        return ""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
