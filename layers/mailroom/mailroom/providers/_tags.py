"""Tags as Resend and SES take them."""

import re

__all__ = ["ascii_tag"]

MAX_LENGTH = 256
REFUSED = re.compile(r"[^A-Za-z0-9_-]")  # as of 2026


def ascii_tag(text: str) -> str:
    """Return a tag's name or value in ASCII letters, digits, _ and -; anything else is refused."""
    return REFUSED.sub("_", text)[:MAX_LENGTH]
