"""What providers report back: one file each, which proves who speaks and puts what is said into our words."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from mailroom.errors import Refused
from mailroom.event import Report
from mailroom.providers import kind_of
from mailroom.request import Request
from mailroom.settings import Settings

__all__ = ["PROVIDERS", "read"]

PROVIDERS = ("resend", "sendgrid", "mailgun", "postmark", "aliyun")  # over HTTPS; SES invokes the function: see ses.py
ACCOUNT = re.compile(r"[a-z]{1,16}(\.[a-z0-9-]{1,63})?")
LONGEST_BODY = 1024 * 1024  # SendGrid posts up to 768 kB at once


class Reporter(Protocol):
    """One provider's file. NEEDS are settings below `feedback/{account}/`, each of one or more values, one a line."""

    @property
    def NEEDS(self) -> tuple[str, ...]: ...

    def read(self, request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
        """Return what a request reports; raise Refused unless it is proven to come from the provider."""
        ...


def read(request: Request, settings: Settings) -> Report:
    """Return what a request to `/feedback/{account}` reports, once it is proven."""
    account = request.path.get("provider", "")
    reporter = _load(kind_of(account)) if ACCOUNT.fullmatch(account) else None
    if reporter is None:
        raise Refused(404, f"No such provider reports here: use {', '.join(PROVIDERS)}.")
    request.require_post()
    if len(request.body) > LONGEST_BODY:
        raise Refused(413, "The report is too large.")
    found = settings.values(*(f"feedback/{account}/{name}" for name in reporter.NEEDS))
    secrets = {
        name.rpartition("/")[2]: [line.strip() for line in value.splitlines() if line.strip()]
        for name, value in found.items()
    }
    if not all(secrets.get(name) for name in reporter.NEEDS):
        raise Refused(404, "Reports of this provider are not set up.")
    return reporter.read(request, account, secrets)


def _load(kind: str) -> Reporter | None:
    """Return a provider's file; only that is imported."""
    match kind:
        case "resend":
            from mailroom.feedback import resend

            return resend
        case "sendgrid":
            from mailroom.feedback import sendgrid

            return sendgrid
        case "mailgun":
            from mailroom.feedback import mailgun

            return mailgun
        case "postmark":
            from mailroom.feedback import postmark

            return postmark
        case "aliyun":
            from mailroom.feedback import aliyun

            return aliyun
    return None
