"""The lower bound: the bytes that our adapter would send, written and signed in advance, sent in a loop."""

import smtplib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import httpx
from botocore.exceptions import ConnectionError as BotoConnectionError

from mailroom.errors import DeliveryError
from mailroom.model.email import Email
from mailroom.providers import _client, load
from mailroom.providers._mime import compose
from mailroom.providers.ses import Ses

__all__ = ["bare"]

OF_THE_CLIENT = {"host", "content-length", "connection", "user-agent", "accept", "accept-encoding"}


def bare(name: str, settings: Mapping[str, str], email: Email, keys: Sequence[str]) -> Callable[[int], object]:
    """Return a function that sends the mail with the n-th key, over one connection."""
    return _smtplib(settings, email, keys) if name == "smtp" else _httpx(name, settings, email, keys)


def _httpx(name: str, settings: Mapping[str, str], email: Email, keys: Sequence[str]) -> Callable[[int], object]:
    ready = _written(name, settings, email, keys)
    client = httpx.Client()

    def send(number: int) -> object:
        url, headers, content = ready[number]
        answer = client.post(url, headers=headers, content=content)
        answer.raise_for_status()
        return answer.json() if answer.content else answer.headers["x-message-id"]

    return send


def _written(
    name: str, settings: Mapping[str, str], email: Email, keys: Sequence[str]
) -> list[tuple[str, dict[str, str], bytes]]:
    recorder = _Recorder()
    with patch.object(_client, "shared", lambda _: recorder):
        provider = load(name, settings)
    if isinstance(provider, Ses):
        provider._client.meta.events.register("before-send.sesv2.SendEmail", recorder.keep)
    for key in keys:
        with suppress(DeliveryError):
            provider.send(email, key)
    return [
        (str(request.url), {k: v for k, v in request.headers.items() if k not in OF_THE_CLIENT}, request.read())
        for request in recorder.requests
    ]


class _Recorder(httpx.BaseTransport):
    """A transport that records requests and sends nothing."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def keep(self, request: Any, **_: Any) -> None:
        self.requests.append(httpx.Request("POST", request.url, headers=dict(request.headers), content=request.body))
        raise BotoConnectionError(error=OSError("only recorded"))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        raise httpx.ConnectError("only recorded")


def _smtplib(settings: Mapping[str, str], email: Email, keys: Sequence[str]) -> Callable[[int], object]:
    letters = [compose(email, key, {}) for key in keys]
    relay = smtplib.SMTP(settings["host"], int(settings["port"]))
    relay.login(settings["username"], settings["password"])

    def send(number: int) -> object:
        refused: dict[str, Any] = relay.sendmail(email.from_.address, [email.to], letters[number])
        return refused

    return send
