"""Headers as a reader sees them: encoded words (RFC 2047) read back."""

import re
from email.header import decode_header, make_header
from email.utils import parseaddr

from mailroom_ops.sandbox.provider import written

__all__ = ["decoded", "mailbox"]


def decoded(value: str) -> str:
    return str(make_header(decode_header(_unfolded(value)))).strip()


def mailbox(value: str) -> str:
    """Read one mailbox. The name is decoded last, so that what it holds cannot look like an address."""
    name, address = parseaddr(_unfolded(value))
    return written(decoded(name), address)


def _unfolded(value: str) -> str:
    return re.sub(r"\r?\n", "", value)
