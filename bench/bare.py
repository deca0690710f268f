"""The lower bound: the bytes that our adapter would send, written and signed in advance, sent in a loop."""

import smtplib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import httpx

from mailroom.errors import DeliveryError
from mailroom.model.email import Email
from mailroom.network.http import Answer, Unreachable, Url
from mailroom.providers import _client, load
from mailroom.providers._mime import compose

__all__ = ["bare"]

OF_THE_CLIENT = {"host", "content-length", "connection", "user-agent", "accept", "accept-encoding"}


def bare(
    name: str, settings: Mapping[str, str], emails: Sequence[Email], keys: Sequence[str]
) -> Callable[[int], object]:
    """Return a function that sends the n-th mail with the n-th key, over one connection."""
    return _smtplib(settings, emails, keys) if name == "smtp" else _httpx(name, settings, emails, keys)


def _httpx(
    name: str, settings: Mapping[str, str], emails: Sequence[Email], keys: Sequence[str]
) -> Callable[[int], object]:
    ready = _written(name, settings, emails, keys)
    client = httpx.Client()

    def send(number: int) -> object:
        url, headers, content = ready[number]
        answer = client.post(url, headers=headers, content=content)
        answer.raise_for_status()
        return answer.json() if answer.content else answer.headers["x-message-id"]

    return send


def _written(
    name: str, settings: Mapping[str, str], emails: Sequence[Email], keys: Sequence[str]
) -> list[tuple[str, dict[str, str], bytes]]:
    recorder = _Recorder()
    with patch.object(_client, "shared", lambda _: recorder):
        provider = load(name, settings)
    for email, key in zip(emails, keys, strict=True):
        with suppress(DeliveryError):
            provider.send(email, key)
    return recorder.requests


class _Recorder:
    """A transport that records requests and sends nothing."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        kept = {name: value for name, value in headers.items() if name.lower() not in OF_THE_CLIENT}
        self.requests.append((f"{url.scheme}://{url.authority}{url.target}", kept, content))
        raise Unreachable("only recorded")


def _smtplib(settings: Mapping[str, str], emails: Sequence[Email], keys: Sequence[str]) -> Callable[[int], object]:
    letters = [compose(email, key, {}) for email, key in zip(emails, keys, strict=True)]
    relay = smtplib.SMTP(settings["host"], int(settings["port"]))
    relay.login(settings["username"], settings["password"])

    def send(number: int) -> object:
        refused: dict[str, Any] = relay.sendmail(emails[number].from_.address, [emails[number].to], letters[number])
        return refused

    return send
