"""The TLS trust store, loaded once: loading takes 20 ms."""

import ssl
from functools import cache

import httpx

__all__ = ["ssl_context"]


@cache
def ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()
