"""Tags as Resend and SES take them."""

import re

__all__ = ["ascii_tag"]

MAX_LENGTH = 256


def ascii_tag(text: str) -> str:
    """Return a tag's name or value in ASCII letters, digits, _ and -; as of 2026 anything else is refused."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:MAX_LENGTH]
