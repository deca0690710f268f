"""What the HTTP providers share: one transport, one reading of what went wrong, one reading of how long to wait."""

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
from mailroom.providers._cases import QUOTA_WAIT, Case, problem

__all__ = [
    "QUOTA_WAIT",
    "Answer",
    "Case",
    "endpoint",
    "hold_back",
    "post",
    "problem",
    "retry_after",
    "secret",
    "shared",
]

# Seconds. A read that times out leaves us not knowing, so reading is given longer than connecting.
TIMEOUT = {"connect": 2.0, "read": 6.0, "write": 6.0, "pool": 2.0}
PATIENCE = 8.0  # a timeout is for one read: this is for all of them
LONGEST_ANSWER = 256 * 1024
# Most front ends drop a connection after a minute without use. One dropped in the moment we write is an UnknownOutcome
# outcome, so ours are let go much earlier.
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=20.0)
COMMON = {"User-Agent": "mailroom", "Accept": "application/json", "Accept-Encoding": "identity"}
HOST = re.compile(rb"[a-z0-9.-]+|[0-9a-f:]+")
HOME = ("127.0.0.1", "localhost", "::1")


def shared(endpoint: str) -> httpx.BaseTransport:
    """Return this process's one transport: its TLS context is parsed once, its connections are kept.

    Not an httpx.Client: what a client adds to it, redirects, cookies and each URL parsed anew, is nothing we want,
    and a third of the CPU that a mail costs (bench/providers.py, 2026-11).
    """
    host = httpx.URL(endpoint).host
    return _transport(None if host in HOME or proxy_bypass(host) else getproxies().get("https"))


@cache
def _transport(proxy: str | None) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(limits=LIMITS, proxy=proxy)
    atexit.register(transport.close)
    return transport


class Answer(NamedTuple):
    """What came back, read whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the JSON object it consists of; empty for anything else."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


def post(
    transport: httpx.BaseTransport, party: str, url: httpx.URL, content: bytes, headers: Mapping[str, str]
) -> Answer:
    """Post once, never again by itself; say of a failure whether the bytes may have arrived."""
    patience = time.monotonic() + PATIENCE
    request = httpx.Request(
        "POST", url, headers={**COMMON, **headers}, content=content, extensions={"timeout": TIMEOUT}
    )
    body = b""
    try:
        with closing(transport.handle_request(request)) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LONGEST_ANSWER or time.monotonic() > patience:
                    raise UnknownOutcome(party, "garbage", "its answer does not end")
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise TemporaryFailure(party, "unreachable", type(error).__name__) from error
    except httpx.RequestError as error:
        raise UnknownOutcome(party, "no_answer", type(error).__name__) from error
    return Answer(response.status_code, response.headers, body)


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Return how many seconds an answer asks us to wait, in whichever way it says so."""
    asked = headers.get("retry-after")
    if asked is None and (found := re.search(r"(?:try again|retry) (?:after|in) (.+)", message, re.IGNORECASE)):
        asked = found[1]
    seconds = _seconds(asked or "")
    return hold_back(headers) or None if seconds is None else seconds


def hold_back(headers: Mapping[str, str]) -> float:
    """Return how long to send nothing more: until the window reopens, once it is used up."""
    for prefix in ("ratelimit", "x-ratelimit"):
        if headers.get(f"{prefix}-remaining") == "0":
            return _seconds(headers.get(f"{prefix}-reset", "")) or 0.0
    return 0.0


def _seconds(text: str) -> float | None:
    """Read `30`, `1700000000` (a moment), `120 seconds`, or a date."""
    if found := re.match(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(?:$|s)", text):
        number = float(found[1])
        return max(0.0, number - time.time()) if number > 1e9 else number
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def secret(party: str, values: Mapping[str, str], name: str) -> str:
    """Return a setting that travels in a header; one that cannot is named, never shown."""
    value = values.get(name, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        why = "must be one line of plain characters without spaces" if value else "is not set"
        raise ConfigurationError("settings", "malformed", f"providers/{party}/{name} {why}")
    return value


def endpoint(party: str, values: Mapping[str, str], default: str = "") -> str:
    """Return where to post to; a key or a code never travels in the clear, except to this machine itself."""
    value = values.get("endpoint", "").strip().rstrip("/") or default
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    sound = HOST.fullmatch(url.raw_host) and not url.userinfo
    if sound and url.scheme in ("https", "http" if url.host in HOME else "https"):
        return value
    raise ConfigurationError(
        "settings", "malformed", f"providers/{party}/endpoint must be an https address, without a password"
    )
