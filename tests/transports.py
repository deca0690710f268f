"""Transports that answer in the test's process, as httpx describes requests and answers."""

from collections.abc import Callable, Mapping

import httpx

from mailroom.network.http import Answer, Url

__all__ = ["Answering", "request_of"]


class Answering:
    """Answers each request with the result of a function."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        response = self._answer(request_of(method, url, headers, content))
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


def request_of(method: str, url: Url, headers: Mapping[str, str], content: bytes) -> httpx.Request:
    return httpx.Request(method, f"{url.scheme}://{url.authority}{url.target}", headers=dict(headers), content=content)
