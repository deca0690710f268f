"""A tenant's own templates and texts as one parameter: its files, compressed, because a parameter has 4 or 8 kB."""

import json
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["MAX_UNPACKED_BYTES", "pack", "unpack"]

FORMAT = "1:"
MAX_UNPACKED_BYTES = 2 * 1024 * 1024  # the renderer accepts less; more is a mistake, or an attack


def pack(files: Mapping[str, str]) -> str:
    """Return files by name as the value of a parameter. Base64, because SSM refuses values that contain `{{`."""
    from base64 import b64encode
    from zlib import compress

    text = json.dumps(files, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return FORMAT + b64encode(compress(text.encode(), 9)).decode()


@lru_cache(maxsize=16)  # each mail of a tenant needs the same files
def unpack(value: str) -> Mapping[str, str]:
    """Return the files of a parameter by name; raise ValueError for any other value."""
    # Imported by tenants with stored files only: a cold start without them does not pay for it.
    from base64 import b64decode
    from zlib import decompressobj, error

    if not value.startswith(FORMAT):
        raise ValueError("it was not written by `mailroom templates push`")
    try:
        inflated = decompressobj()
        text = inflated.decompress(b64decode(value.removeprefix(FORMAT), validate=True), MAX_UNPACKED_BYTES)
        files = json.loads(text) if inflated.eof else None
    except (ValueError, RecursionError, error):
        files = None
    if not isinstance(files, dict) or not all(isinstance(content, str) for content in files.values()):
        raise ValueError("it is damaged")
    return files
