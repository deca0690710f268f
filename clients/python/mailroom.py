"""Sends mail through Mailroom. Copy this file into your project: it needs nothing but Python 3.10.

    mailroom = Mailroom(os.environ["MAILROOM_URL"], os.environ["MAILROOM_API_KEY"])
    mailroom.send("sign-in-code", "reader@example.com", {"code": "048213"}, locale="de")
    await mailroom.send_async("sign-in-code", "reader@example.com", {"code": "048213"})

A request that fails on the way, is throttled, or finds Mailroom unavailable is repeated with the same idempotency key:
it becomes one mail.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

__all__ = ["Delivery", "Kind", "Mailroom", "MailroomError"]

Kind = (
    Literal[
        "sign-in-code",
        "sign-up-code",
        "password-reset",
        "email-confirmation",
        "mfa-code",
        "bind-mfa-code",
        "permission-code",
        "bind-identifier-code",
        "generic-code",
        "organization-invitation",
        "security-notice",
        "notification",
        "magic-link",
    ]
    | str  # a kind of the tenant's own templates
)
FIRST_PAUSE_SECONDS = 0.25
TEMPORARY = {0, 408, 425, 429, 500, 502, 503, 504}
SUCCESSES = {"accepted", "sent", "skipped"}


@dataclass(frozen=True)
class Delivery:
    """The status of a mail: `sent`; `accepted`, which will be sent; or `skipped`, for the given reason."""

    message_id: str
    status: str
    reason: str = ""
    provider: str = ""
    provider_id: str = ""


class MailroomError(Exception):
    """The mail was not sent. With `status` 0, Mailroom could not be reached; `problems` are pairs of field and text."""

    def __init__(self, message: str, status: int, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Answer:
    """The response to one request; `status` 0 if there was none."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether the request is worth repeating. One that no provider accepted, or one may have, is not."""
        if self.status == 409:
            return self.retry_after is not None  # the same mail is being sent at this moment
        return self.status in TEMPORARY and (self.status, self.body.get("status")) not in (
            (502, "failed"),
            (504, "unknown"),
        )


class Mailroom:
    """A client of one stack. `url` is its address; the local one is http://127.0.0.1:3000."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        tenant: str | None = None,
        patience: float = 30.0,  # seconds for which a mail is tried
        timeout: float = 25.0,  # seconds of one request
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        if not url.startswith(("https://", "http://")) or not key:
            raise MailroomError("Set the url and the key of Mailroom.", 0)
        self._url = url.rstrip("/")
        self._key = key
        self._tenant = tenant
        self._patience = patience
        self._timeout = timeout
        self._sleep = sleep

    def send(
        self,
        kind: Kind,
        to: str,
        data: Mapping[str, Any] | None = None,
        *,
        tenant: str | None = None,
        locale: str | Sequence[str] | None = None,
        idempotency_key: str | None = None,
        mode: Literal["inline", "queued"] | None = None,
        expires_in: float | None = None,
    ) -> Delivery:
        """Send a mail; raise MailroomError if it was not sent."""
        request = {
            "kind": kind,
            "to": to,
            "data": data,
            "tenant": tenant or self._tenant,
            "locale": locale if locale is None or isinstance(locale, str) else list(locale),
            "idempotency_key": idempotency_key or str(uuid.uuid4()),
            "mode": mode,
            "expires_in": None if expires_in is None else max(1, int(expires_in)),
        }
        body = {name: value for name, value in request.items() if value is not None}
        answer = self._post(f"{self._url}/v1/emails", f"Bearer {self._key}", body)
        if answer.body.get("status") not in SUCCESSES:
            raise _error(answer)
        names = ("message_id", "status", "reason", "provider", "provider_id")
        return Delivery(*(str(answer.body.get(name, "")) for name in names))

    async def send_async(self, kind: Kind, to: str, data: Mapping[str, Any] | None = None, **options: Any) -> Delivery:
        """Send a mail without blocking the event loop; the options are those of `send`."""
        return await asyncio.get_running_loop().run_in_executor(None, partial(self.send, kind, to, data, **options))

    def send_rendered(self, mail: Mapping[str, Any], authorization: str, tenant: str | None = None) -> None:
        """Send a mail that you have rendered: `to`, `subject`, `html`, `text`, optionally `reply_to` and `id`.

        `authorization` is the tenant's secret of the source `rendered`.
        """
        path = f"/webhooks/rendered/{tenant or self._tenant or 'default'}"
        answer = self._post(self._url + path, authorization, {"id": str(uuid.uuid4()), **mail})
        if not 200 <= answer.status < 300:
            raise _error(answer)

    def _post(self, url: str, authorization: str, body: Mapping[str, Any]) -> Answer:
        """Return the response to a request, repeated while that may help."""
        headers = {"authorization": authorization, "content-type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        patience, pause = self._patience, FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            answer = _open(request, self._timeout)
            wait = max(answer.retry_after or 0, pause * random.uniform(0.75, 1.25))  # noqa: S311 - not a secret
            patience -= time.monotonic() - started + wait
            if not answer.is_temporary or patience < 0:
                return answer
            self._sleep(wait)
            pause *= 2


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Refuse: the key would go to another address, and the mail would be lost."""


_OPENER = urllib.request.build_opener(_NoRedirect)


def _open(request: urllib.request.Request, timeout: float) -> Answer:
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            return Answer(response.status, _object(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            retry_after = error.headers.get("retry-after", "")
            body = _object(error.read(), error.headers.get("content-type", ""))
            return Answer(error.code, body, float(retry_after) if retry_after.isdigit() else None)
    except (OSError, http.client.HTTPException):
        return Answer(0)


def _object(content: bytes, content_type: str = "") -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        is_text = content_type.startswith("text/plain")  # a refusal of the source `rendered`
        return {"reason": content.decode("utf-8", "replace")[:300]} if is_text else {}
    return value if isinstance(value, dict) else {}


def _error(answer: Answer) -> MailroomError:
    errors = [error for error in answer.body.get("errors") or [] if isinstance(error, dict)]
    problems = [(str(error.get("field")), str(error.get("message"))) for error in errors]
    details = " ".join(f"{name}: {message}" for name, message in problems)
    reason = ", ".join(str(answer.body[name]) for name in ("status", "reason") if answer.body.get(name))
    summary = (
        f"Mailroom has not sent the mail (HTTP {answer.status})." if answer.status else "Mailroom cannot be reached."
    )
    return MailroomError(f"{summary} {details or reason}".strip(), answer.status, problems)
