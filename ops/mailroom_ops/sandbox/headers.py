"""Mail headers as a recipient sees them: with encoded words (RFC 2047) decoded."""

import re
from email.header import decode_header, make_header
from email.utils import parseaddr

from mailroom_ops.sandbox.provider import format_mailbox

__all__ = ["decoded", "mailbox"]


def decoded(value: str) -> str:
    return str(make_header(decode_header(_unfolded(value)))).strip()


def mailbox(value: str) -> str:
    """Return a mailbox. Its name is decoded last, so that no part of it is taken for an address."""
    name, address = parseaddr(_unfolded(value))
    return format_mailbox(decoded(name), address)


def _unfolded(value: str) -> str:
    return re.sub(r"\r?\n", "", value)
