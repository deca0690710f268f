"""A real AWS endpoint on loopback, fresh for each test, and the package's own client for it."""

import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest

from mailroom.aws import Aws
from tests import moto_server


@pytest.fixture(scope="session")
def moto_url() -> str:
    return moto_server.moto_url()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    reset = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with closing(Aws("eu-west-1", moto_url)) as client:
        yield client
