"""Reports of providers: one module per provider, which authenticates its requests and translates them to events."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol

from mailroom.errors import RequestError
from mailroom.model.event import Report
from mailroom.providers import kind_of
from mailroom.request import Request
from mailroom.settings import Settings
from mailroom.webhooks.authentication import Unauthenticated

__all__ = ["PROVIDERS", "read"]

PROVIDERS = ("resend", "sendgrid", "mailgun", "postmark", "aliyun")  # over HTTPS; SES invokes the function: see ses.py
ACCOUNT = re.compile(r"[a-z]{1,16}(\.[a-z0-9-]{1,63})?")
MAX_BODY_BYTES = 1024 * 1024  # SendGrid posts up to 768 kB at once


class Reporter(Protocol):
    """A provider's module. NEEDS are settings below `feedback/{account}/`, each of one or more values, one a line."""

    @property
    def NEEDS(self) -> tuple[str, ...]: ...

    def read(self, request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
        """Return the events of a request; raise RequestError unless it is authenticated as the provider's."""
        ...


def read(request: Request, settings: Settings) -> Report:
    """Return the events of a request to `/feedback/{account}`, once it is authenticated."""
    account = request.path.get("provider", "")
    if not ACCOUNT.fullmatch(account) or kind_of(account) not in PROVIDERS:
        raise RequestError(404, f"No such provider reports here: use {', '.join(PROVIDERS)}.")
    request.require_post()
    if len(request.body) > MAX_BODY_BYTES:
        raise RequestError(413, "The report is too large.")
    reporter: Reporter = import_module(f"{__name__}.{kind_of(account)}")
    secrets = {name: _lines(settings.lookup("feedback", f"feedback/{account}/{name}")) for name in reporter.NEEDS}
    if all(secrets.values()):
        return reporter.read(request, account, secrets)
    if account == kind_of(account):
        raise RequestError(404, "Reports of this provider are not set up.")
    raise Unauthenticated(f"feedback/{account} is not set up")  # who knows no secret learns of no tenant


def _lines(value: str) -> list[str]:
    return [line.strip() for line in value.splitlines() if line.strip()]
