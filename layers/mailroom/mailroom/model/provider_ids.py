"""Providers' ids of mails, as the ledger keeps and finds them."""

__all__ = ["clean_id"]

MAX_LENGTH = 512  # characters, so at most 2,048 bytes: the longest key that DynamoDB takes


def clean_id(text: str) -> str:
    """Return an id made printable, and cut to a length that an index takes."""
    if len(text) <= MAX_LENGTH and text.isprintable():
        return text
    return "".join(filter(str.isprintable, text))[:MAX_LENGTH]
