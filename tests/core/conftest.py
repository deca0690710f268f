"""A real AWS endpoint on loopback, fresh for each test, and the package's own client for it."""

import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from moto.server import ThreadedMotoServer

from mailroom.aws import Aws


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    reset = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with closing(Aws("eu-west-1", moto_url)) as client:
        yield client
