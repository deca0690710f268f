"""One request to a tenant's endpoint, signed by Standard Webhooks: https://www.standardwebhooks.com

The URL is a tenant's choice. So the request goes to public addresses only (network/public.py), follows no redirect, and
takes a bounded time and answer.
"""

import os
from dataclasses import dataclass
from functools import cache

from mailroom.model.callback import Callback
from mailroom.model.outcome_event import OutcomeEvent
from mailroom.network.http import Answer, Connections, Limits, NoAnswer, Transport, Unreachable, Url
from mailroom.network.public import connect_anywhere, connect_to_public
from mailroom.network.signed_webhooks import signed_headers
from mailroom.network.tls import tls_context

__all__ = ["MAX_REQUEST_SECONDS", "PostResult", "connections", "limits", "post", "transport"]

CONNECT_TIMEOUT_SECONDS = 2.0  # of one address, and again of the TLS handshake
READ_TIMEOUT_SECONDS = 6.0
TOTAL_TIMEOUT_SECONDS = 8.0
MAX_REQUEST_SECONDS = 20.0  # names resolved, addresses tried and answer read, each at its slowest
MAX_ANSWER_BYTES = 64 * 1024
IDLE_SECONDS = 5.0  # a connection is for the events of a burst
GONE = 410  # by the standard: the receiver wants no more
COMMON_HEADERS = {"User-Agent": "mailroom", "Content-Type": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class PostResult:
    """The result of one request: `reason` is empty where the endpoint accepted the event."""

    reason: str = ""
    status: int = 0  # 0: no complete answer came
    retry_after: float = 0.0

    @property
    def is_accepted(self) -> bool:
        return not self.reason

    @property
    def is_gone(self) -> bool:
        return self.status == GONE


@cache
def transport() -> Transport:
    """Return the transport of this process. Only the local stack sets the variable that allows loopback."""
    return connections(is_local=os.environ.get("CALLBACKS_TO_LOOPBACK") == "true")


def connections(*, is_local: bool) -> Connections:
    """Return connections to endpoints, which lead to public addresses only, except in the local stack."""
    return Connections(limits, tls_context, connect=connect_anywhere if is_local else connect_to_public)


def post(transport: Transport, callback: Callback, event: OutcomeEvent, now: float) -> PostResult:
    """Send an event to its endpoint, once."""
    content = event.to_json().encode()
    try:
        url = Url.parse(callback.url)
        headers = {**COMMON_HEADERS, **signed_headers(callback.keys, event.id, now, content)}
        answer = transport.request("POST", url, headers, content)
    except ValueError:
        return PostResult("malformed_url")
    except Unreachable as error:
        return PostResult(f"unreachable ({error})")
    except NoAnswer as error:
        return PostResult(f"no_answer ({error})")
    if answer.is_success:
        return PostResult(status=answer.status)
    kind = "redirected" if 300 <= answer.status < 400 else "refused"
    return PostResult(f"{kind} ({answer.status})", answer.status, _retry_after(answer))


def limits() -> Limits:
    """Return the limits of a request to an endpoint."""
    return Limits(
        connect=CONNECT_TIMEOUT_SECONDS,
        read=READ_TIMEOUT_SECONDS,
        total=TOTAL_TIMEOUT_SECONDS,
        idle=IDLE_SECONDS,
        size=MAX_ANSWER_BYTES,
    )


def _retry_after(answer: Answer) -> float:
    """Return the seconds that an answer asks to wait; 0 for none, or a date."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdecimal() and len(value) < 7 else 0.0
