"""Proof of a request that is signed as https://www.standardwebhooks.com, with the setting `secret` of its source."""

from collections.abc import Mapping
from typing import Any

from mailroom.request import Request
from mailroom.sources.source import Credentials
from mailroom.webhooks.standard_webhooks import require_signature

__all__ = ["verify"]


def verify(request: Request, credentials: Credentials) -> Mapping[str, Any]:
    """Refuse a request that is not signed with one of the secrets; return its id."""
    return {"id": require_signature(request, credentials.lines("secret"), credentials.parameter("secret"))}
