"""One moto server for all tests of a run, started when the first asks for it."""

import atexit
from functools import cache

import moto.sesv2.urls  # noqa: F401 - else its first request waits for it
from moto.server import ThreadedMotoServer

__all__ = ["moto_url"]


@cache
def moto_url() -> str:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
