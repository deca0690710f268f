"""Acme, an auth server that does not exist: signed requests with an id, a time and a lifetime."""

from collections.abc import Mapping
from typing import Any

from mailroom.errors import RequestError
from mailroom.model.message import Message
from mailroom.request import Request
from mailroom.sources.source import Credentials, Source, VerifiedRequest
from mailroom.webhooks.json_access import iso_time, text
from mailroom.webhooks.standard_webhooks import require_signature

KINDS = {"login": "sign-in-code", "signup": "sign-up-code"}


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    require_signature(request, credentials.lines("secret"), credentials.parameter("secret"))
    return {}


def parse(verified: VerifiedRequest) -> list[Message]:
    body = verified.json_object()
    if body.get("sent_by_acme"):
        return []
    if not text(body, "code"):
        raise RequestError(422, "The code is missing.")
    return [
        verified.message(
            KINDS.get(text(body, "purpose"), "generic-code"),
            body.get("email"),
            {"code": text(body, "code")},
            key=text(body, "id"),
            created_at=iso_time(body, "at", default=0.0) or None,
            expires_at=iso_time(body, "ends", default=0.0) or None,
            locales=[text(body, "language")],
        )
    ]


SOURCE = Source(
    name="acme",
    required={"secret": "the secret that signs Acme's requests"},
    secrets=("secret",),
    verify=verify,
    parse=parse,
)
