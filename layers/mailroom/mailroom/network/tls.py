"""The TLS context of a process."""

import ssl
from functools import cache

__all__ = ["tls_context"]


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context that verifies servers; built once, because reading all authorities takes 20 ms."""
    return ssl.create_default_context()
