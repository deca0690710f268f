"""Keyed hashes, by which the ledger knows addresses."""

import hashlib
import hmac
from functools import lru_cache

__all__ = ["keyed_hash"]


@lru_cache(256)  # a mail needs that of its recipient seven times
def keyed_hash(key: str, text: str) -> str:
    """Return a keyed hash of an address, which only the holder of the environment's key can resolve."""
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256).hex()[:32]
