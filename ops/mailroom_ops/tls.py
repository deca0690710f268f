"""Whose certificates the commands believe: read once, because reading them takes 20 ms."""

import ssl
from functools import cache

import httpx

__all__ = ["believed"]


@cache
def believed() -> ssl.SSLContext:
    return httpx.create_ssl_context()
