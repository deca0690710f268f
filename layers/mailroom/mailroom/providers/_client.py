"""HTTP for the adapters: one transport, the meaning of its failures, and the time that an answer asks to wait."""

import atexit
import os
import re
import time
from collections.abc import Mapping
from functools import cache

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome
from mailroom.network.http import (
    Answer,
    Connections,
    EndlessAnswer,
    Limits,
    NoAnswer,
    Proxy,
    Transport,
    Unreachable,
    Url,
)
from mailroom.network.tls import tls_context

__all__ = [
    "CONNECT_TIMEOUT_SECONDS",
    "LOOPBACK",
    "READ_TIMEOUT_SECONDS",
    "endpoint",
    "hold_back",
    "limits",
    "post",
    "retry_after",
    "secret",
    "shared",
]

CONNECT_TIMEOUT_SECONDS = 2.0
READ_TIMEOUT_SECONDS = 6.0  # longer, because a read that times out is an unknown outcome
TOTAL_TIMEOUT_SECONDS = 8.0  # that timeout is for one read, this is for the whole answer
MAX_ANSWER_BYTES = 256 * 1024
# Most servers close a connection after a minute without requests. Writing to one as it is closed is an unknown outcome,
# so ours are closed much earlier.
IDLE_SECONDS = 20.0
COMMON_HEADERS = {"User-Agent": "mailroom", "Accept": "application/json", "Accept-Encoding": "identity"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def shared(endpoint: str) -> Transport:
    """Return the transport of this process, whose connections stay open."""
    return _connections(_proxy_of(Url.parse(endpoint).host))


def _proxy_of(host: str) -> str | None:
    """Return the proxy that the environment names for an https address; None for most."""
    if host in LOOPBACK or not any(name.lower() == "https_proxy" for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # 5 ms, which only an environment with a proxy pays

    return None if proxy_bypass(host) else getproxies().get("https")


@cache
def _connections(proxy: str | None) -> Connections:
    connections = Connections(limits, tls_context, _parse_proxy(proxy) if proxy else None)
    atexit.register(connections.close)
    return connections


def limits() -> Limits:
    """Return the limits of a request to a provider."""
    return Limits(
        connect=CONNECT_TIMEOUT_SECONDS,
        read=READ_TIMEOUT_SECONDS,
        total=TOTAL_TIMEOUT_SECONDS,
        idle=IDLE_SECONDS,
        size=MAX_ANSWER_BYTES,
    )


def _parse_proxy(text: str) -> Proxy:
    try:
        return Proxy.parse(text)
    except ValueError as error:
        hint = "https_proxy must be http://host:port, with user:password@ before the host if it needs a login"
        raise ConfigurationError("settings", "malformed", hint) from error


def post(transport: Transport, party: str, url: Url, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Send one POST request, without retries; a failure states whether the request may have arrived."""
    try:
        return transport.request("POST", url, {**COMMON_HEADERS, **headers}, content)
    except Unreachable as error:
        raise TemporaryFailure(party, "unreachable", str(error)) from error
    except EndlessAnswer as error:
        raise UnknownOutcome(party, "garbage", "its answer does not end") from error
    except NoAnswer as error:
        raise UnknownOutcome(party, "no_answer", str(error)) from error


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Return how many seconds an answer asks to wait: by its header, its message or a used-up rate limit."""
    value = headers.get("retry-after")
    if value is None and (match := re.search(r"(?:try again|retry) (?:after|in) (.+)", message, re.IGNORECASE)):
        value = match[1]
    seconds = _seconds(value or "")
    return hold_back(headers) or None if seconds is None else seconds


def hold_back(headers: Mapping[str, str]) -> float:
    """Return how many seconds to send no further request: until the rate limit is renewed, if it is used up."""
    for prefix in ("ratelimit", "x-ratelimit"):
        if headers.get(f"{prefix}-remaining") == "0":
            return _seconds(headers.get(f"{prefix}-reset", "")) or 0.0
    return 0.0


def _seconds(text: str) -> float | None:
    """Return the seconds until `30`, `1700000000` (a time), `120 seconds`, or a date; None for any other text."""
    if match := re.match(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(?:$|s)", text):
        number = float(match[1])
        return max(0.0, number - time.time()) if number > 1e9 else number
    from email.utils import parsedate_to_datetime  # 5 ms, which only the rare answer with a date pays

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def secret(party: str, values: Mapping[str, str], name: str) -> str:
    """Return a setting that is sent in a header; the error for a malformed one does not contain it."""
    value = values.get(name, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        problem = "must be one line of plain characters without spaces" if value else "is not set"
        raise ConfigurationError("settings", "malformed", f"providers/{party}/{name} {problem}")
    return value


def endpoint(party: str, values: Mapping[str, str], default: str = "") -> str:
    """Return the URL to post to; https, because a key or a code must not be sent in the clear, except to loopback."""
    value = values.get("endpoint", "").strip().rstrip("/") or default
    try:
        url = Url.parse(value)
    except ValueError:
        url = Url("", "", 0, "")
    if url.scheme == "https" or (url.scheme == "http" and url.host in LOOPBACK):
        return value
    raise ConfigurationError(
        "settings", "malformed", f"providers/{party}/endpoint must be an https address, without a password"
    )
