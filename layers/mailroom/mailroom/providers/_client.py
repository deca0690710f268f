"""HTTP for the adapters: one transport, the meaning of its failures, and the time that an answer asks to wait."""

import atexit
import json
import re
import time
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.request import getproxies, proxy_bypass

import httpx

from mailroom.errors import ConfigurationError, TemporaryFailure, UnknownOutcome

__all__ = ["TIMEOUT", "Answer", "endpoint", "hold_back", "post", "retry_after", "secret", "shared"]

# Seconds. A read that times out is an unknown outcome, so reading has more time than connecting.
TIMEOUT = {"connect": 2.0, "read": 6.0, "write": 6.0, "pool": 2.0}
MAX_ANSWER_SECONDS = 8.0  # a timeout is for one read, this is for the whole answer
MAX_ANSWER_BYTES = 256 * 1024
# Most servers close a connection after a minute without requests. Writing to one as it is closed is an unknown outcome,
# so ours are closed much earlier.
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=20.0)
COMMON_HEADERS = {"User-Agent": "mailroom", "Accept": "application/json", "Accept-Encoding": "identity"}
HOST = re.compile(rb"[a-z0-9.-]+|[0-9a-f:]+")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def shared(endpoint: str) -> httpx.BaseTransport:
    """Return the transport of this process: its TLS context is built once, its connections stay open.

    Not an httpx.Client: it adds redirects, cookies and URL parsing, which no adapter needs, for a third of the CPU of a
    mail (bench/providers.py, 2026-11).
    """
    host = httpx.URL(endpoint).host
    return _transport(None if host in LOOPBACK or proxy_bypass(host) else getproxies().get("https"))


@cache
def _transport(proxy: str | None) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(limits=LIMITS, proxy=proxy)
    atexit.register(transport.close)
    return transport


class Answer(NamedTuple):
    """A complete HTTP answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body; empty for any other body."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


def post(
    transport: httpx.BaseTransport, party: str, url: httpx.URL, content: bytes, headers: Mapping[str, str]
) -> Answer:
    """Send one POST request, without retries; a failure states whether the request may have arrived."""
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    request = httpx.Request(
        "POST", url, headers={**COMMON_HEADERS, **headers}, content=content, extensions={"timeout": TIMEOUT}
    )
    body = b""
    try:
        with closing(transport.handle_request(request)) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise UnknownOutcome(party, "garbage", "its answer does not end")
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise TemporaryFailure(party, "unreachable", type(error).__name__) from error
    except httpx.RequestError as error:
        raise UnknownOutcome(party, "no_answer", type(error).__name__) from error
    return Answer(response.status_code, response.headers, body)


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
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    is_valid = HOST.fullmatch(url.raw_host) and not url.userinfo
    if is_valid and url.scheme in ("https", "http" if url.host in LOOPBACK else "https"):
        return value
    raise ConfigurationError(
        "settings", "malformed", f"providers/{party}/endpoint must be an https address, without a password"
    )
